"""Live streams in the OpenAPI document: each kind of event with its schema and an example."""

import json
from typing import Any, TypeAlias

from api.live.event import EventKind
from api.schemas.common import Answer
from api.schemas.strategy import Status, TimelineEvent
from api.schemas.streams import FillNews, PriceNews, ReadinessNews, StreamSnapshot
from api.schemas.trading import AlertAnswer, OrderAnswer

Data: TypeAlias = StreamSnapshot | TimelineEvent | Status | OrderAnswer | FillNews | PriceNews | AlertAnswer | ReadinessNews

DESCRIPTION = (
    "Server-sent events; `data` is JSON, its schema goes by the name of the event: `snapshot` StreamSnapshot, `run_event` "
    "TimelineEvent, `state` Status, `order` OrderAnswer, `fill` FillNews, `price` PriceNews, `alert` AlertAnswer, `readiness` "
    "ReadinessNews. Only `run_event` has an `id`: send the last one as `Last-Event-ID`. A comment every 15 s keeps it open."
)

_STRATEGY, _RUN = "str_01jb3m5k8r2v9x4c7n6q1t0w3z", "run_01jb3m5k8r2v9x4c7n6q1t0w3z"
_ORDER, _ACCOUNT = "ord_01jb3m5k8r2v9x4c7n6q1t0w3z", "brk_01jb3m5k8r2v9x4c7n6q1t0w3z"
_AT = "2026-11-20T04:00:00.412000Z"
_STATUS: dict[str, Any] = {
    **{"strategy_id": _STRATEGY, "status": "running", "position": "BOUGHT", "last_action": "BUY", "last_price": 3512.5},
    **{"last_price_at": _AT, "run_id": _RUN, "run_state": "holding", "trading_day": "2026-11-20", "quantity": 10},
    **{"average_buy_price": 3512.5, "average_sell_price": None, "realised_pnl": 0.0, "pnl": 0.0, "stop_loss": 3500.0},
    **{"target_price": None, "highest_price": None},
    **{"buys_at": "2026-11-20T04:00:00Z", "sells_at": "2026-11-20T09:40:00Z", "exit_reason": None, "end_reason": None},
    **{"end_detail": "", "orders": [], "as_of": _AT},
}
_LINE: dict[str, Any] = {
    **{"sequence": 41, "run_id": _RUN, "strategy_id": _STRATEGY, "at": _AT, "kind": "bought", "price": 3512.5},
    **{"message": "Bought 10 at ₹3,512.50", "quantity": 10, "late_ms": 12},
}
_SENT: dict[str, Any] = {
    **{"order_id": _ORDER, "run_id": _RUN, "strategy_id": _STRATEGY, "broker_id": _ACCOUNT, "trading_day": "2026-11-20"},
    **{"leg": "entry", "attempt": 1, "state": "filled", "exchange": "NSE", "symbol": "TCS", "product": "MIS", "side": "BUY"},
    **{"quantity": 10, "filled_quantity": 10, "price": 3530.0, "average_price": 3512.5, "reason": None, "message": ""},
    **{"tag": "t324e1abcdefghjkmnpq", "broker_order_id": "241120000000001", "exchange_order_id": "1100000000000001"},
    **{"late_ms": 12, "wanted_at": "2026-11-20T04:00:00Z", "sent_at": _AT, "acknowledged_at": _AT, "filled_at": _AT},
    **{"ended_at": _AT, "created_at": "2026-11-20T03:59:52Z"},
}
_FILL: dict[str, Any] = {
    **{"fill_id": "fil_01jb3m5k8r2v9x4c7n6q1t0w3z", "order_id": _ORDER, "run_id": _RUN, "strategy_id": _STRATEGY},
    **{"broker_id": _ACCOUNT, "leg": "entry", "side": "BUY", "exchange": "NSE", "symbol": "TCS", "quantity": 10},
    **{"price": 3512.5, "filled_at": _AT},
}
_PRICE: dict[str, Any] = {"exchange": "NSE", "symbol": "TCS", "price": 3512.5, "at": _AT}
_ALERT: dict[str, Any] = {
    **{"alert_id": "alt_01jb3m5k8r2v9x4c7n6q1t0w3z", "kind": "token_expired", "title": "A broker login has ended"},
    **{"severity": "critical", "message": "Log in again", "ends_when": "the broker answers to a login again"},
    **{"broker_id": _ACCOUNT, "run_id": None, "raised_at": _AT, "cleared_at": None, "acknowledged_at": None},
}
_CHECK: dict[str, Any] = {
    **{"name": "login", "state": "failed", "found": "The account is not logged in", "advice": "Log in to the broker"},
    **{"strategy_id": None},
}
_READINESS: dict[str, Any] = {
    **{"broker_id": _ACCOUNT, "trading_day": "2026-11-20", "check_time": "08:45", "verdict": "not_ready"},
    **{"checks": [_CHECK], "checked_at": "2026-11-20T03:15:02Z"},
}
_SNAPSHOT: dict[str, Any] = {"as_of": _AT, "strategies": [_STATUS], "alerts": [_ALERT], "readiness": [_READINESS]}

# What each kind of event carries, with an example of it.
KINDS: dict[EventKind, tuple[type[Answer], dict[str, Any]]] = {
    EventKind.SNAPSHOT: (StreamSnapshot, _SNAPSHOT),
    EventKind.RUN_EVENT: (TimelineEvent, _LINE),
    EventKind.STATE: (Status, _STATUS),
    EventKind.ORDER: (OrderAnswer, _SENT),
    EventKind.FILL: (FillNews, _FILL),
    EventKind.PRICE: (PriceNews, _PRICE),
    EventKind.ALERT: (AlertAnswer, _ALERT),
    EventKind.READINESS: (ReadinessNews, _READINESS),
}


def _message(kind: EventKind, data: dict[str, Any]) -> str:
    place = f"id: {data['sequence']}\n" if kind is EventKind.RUN_EVENT else ""
    return f"{place}event: {kind.value}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


MESSAGES = {kind.value: {"value": _message(kind, example)} for kind, (_, example) in KINDS.items()}
EVENTS = {
    kind.value: {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}, "example": example}
    for kind, (model, example) in KINDS.items()
}
