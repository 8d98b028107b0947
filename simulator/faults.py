"""Faults on command: what goes wrong, for whom, how often.

Two families: *transport* faults change what the client gets over the wire, *behaviour* faults change what the exchange
does or shows. A request can meet one of each.
"""

import itertools
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from simulator.clock import SECOND_NS, now_ns

ENDPOINTS = frozenset({
    "place", "modify", "cancel", "orders", "order", "trades", "positions", "holdings", "margins", "quote",
    "instruments", "session", "profile", "gtt", "any",
})  # fmt: skip
_LASTING = frozenset({"mute"})
_LARGEST = 10**9
_MOST_REMEMBERED = 200
WRITES = ("place", "modify", "cancel")

TRANSPORT: dict[str, tuple[str, ...]] = {
    "drop_before": ("any",),
    "accept_then_drop": ("place",),
    "accept_late": ("place",),
    "status_500": ("any",),
    "status_502_html": ("any",),
    "status_503": ("any",),
    "status_429": ("any",),
    "slow": ("any",),
    "half_json": ("any",),
    "redirect": ("any",),
    "ok_with_error_inside": ("any",),
    "timeout_400": ("place",),
    "token_expired": ("any",),
    "ip_refused": WRITES,
    "reject_sync": ("place",),
}
"""Kind to the endpoints it applies to when none is named."""
BEHAVIOUR: dict[str, tuple[str, ...]] = {
    "reject_async": ("place",),
    "partial": ("place",),
    "never_fill": ("place",),
    "broker_cancel": ("place",),
    "modify_refused": ("modify",),
    "cancel_refused": ("cancel",),
    "stale_book": ("orders",),
    "empty_positions": ("positions",),
}
UPDATES: dict[str, tuple[str, ...]] = dict.fromkeys(
    ("duplicate_update", "late_update", "regress_update", "no_order_updates"), ("order_update",)
)
SOCKETS: dict[str, tuple[str, ...]] = dict.fromkeys(("cut", "mute"), ("socket",))
KINDS = TRANSPORT | BEHAVIOUR | UPDATES | SOCKETS


class UnknownFault(ValueError):
    """A fault that cannot be: its message says why."""


@dataclass(slots=True)
class Fault:
    """One fault. `count` None lasts until it is removed; `settings` are the extra fields of its kind."""

    fault_id: int
    kind: str
    account: str | None
    endpoints: tuple[str, ...]
    count: int | None
    skip: int
    probability: float
    delay_ms: float
    symbol: str | None
    side: str | None
    tag: str | None
    settings: dict[str, Any]
    rng: random.Random
    hits: int = 0
    until_ns: int | None = None

    @property
    def is_spent(self) -> bool:
        """Whether it will never strike again."""
        return self.count == 0 or (self.until_ns is not None and now_ns() >= self.until_ns)

    def applies_to(self, endpoint: str, account: str | None, request: Mapping[str, str]) -> bool:
        """Whether a request is in its scope."""
        if self.account is not None and self.account != account:
            return False
        if endpoint not in self.endpoints and "any" not in self.endpoints:
            return False
        wanted = ((self.symbol, "tradingsymbol"), (self.side, "transaction_type"), (self.tag, "tag"))
        return all(value is None or request.get(name) == value for value, name in wanted)

    def strike(self) -> bool:
        """Whether it strikes this time; counts it."""
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.probability < 1 and self.rng.random() >= self.probability:
            return False
        if self.count is not None:
            self.count -= 1
        self.hits += 1
        return True

    def describe(self) -> dict[str, Any]:
        """What the control API shows."""
        return {
            "id": self.fault_id, "kind": self.kind, "account": self.account, "endpoints": list(self.endpoints),
            "count": self.count, "skip": self.skip, "probability": self.probability, "delay_ms": self.delay_ms,
            "symbol": self.symbol, "side": self.side, "tag": self.tag, "hits": self.hits, **self.settings,
        }  # fmt: skip


@dataclass(slots=True)
class FaultBook:
    """The faults in force, and some that struck as often as they were to. `on_cut` is told of `cut` as it is added."""

    faults: list[Fault] = field(default_factory=list)
    on_cut: list[Callable[[Fault], None]] = field(default_factory=list)
    _ids: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def add(self, kind: str, **fields: Any) -> Fault:
        """Put a fault in force. Raises UnknownFault. Fields are those of the control API (README)."""
        if kind not in KINDS:
            raise UnknownFault(f"There is no fault {kind!r}; known: {', '.join(sorted(KINDS))}.")
        fault = _make_fault(next(self._ids), kind, fields)
        if kind == "cut":
            for listener in self.on_cut:
                listener(fault)
            fault.hits, fault.count = 1, 0
            return fault
        self._forget_oldest_spent()
        self.faults.append(fault)
        return fault

    def _forget_oldest_spent(self) -> None:
        if len(self.faults) >= _MOST_REMEMBERED:
            alive = [fault for fault in self.faults if not fault.is_spent]
            self.faults = [fault for fault in self.faults if fault.is_spent][-_MOST_REMEMBERED // 2 :] + alive

    def remove(self, fault_id: int) -> bool:
        """Take one fault out of force; answers whether it was there."""
        before = len(self.faults)
        self.faults = [fault for fault in self.faults if fault.fault_id != fault_id]
        return len(self.faults) < before

    def clear(self) -> None:
        """Take all faults out of force."""
        self.faults = []

    def transport(self, endpoint: str, account: str | None, request: Mapping[str, str]) -> Fault | None:
        """The transport fault that strikes this request, if any."""
        return self._strike(TRANSPORT, endpoint, account, request)

    def behaviour(self, endpoint: str, account: str | None, request: Mapping[str, str]) -> Fault | None:
        """The behaviour fault that strikes this request, if any."""
        return self._strike(BEHAVIOUR, endpoint, account, request)

    def update(self, account: str, order: Mapping[str, str]) -> Fault | None:
        """The fault that strikes this order update, if any."""
        return self._strike(UPDATES, "order_update", account, order)

    def mute(self, account: str) -> Fault | None:
        """The mute in force for an account's sockets, if any. Does not count down: a mute lasts."""
        for fault in self.faults:
            if fault.kind == "mute" and not fault.is_spent and fault.account in (None, account):
                return fault
        return None

    def _strike(
        self, family: Mapping[str, object], endpoint: str, account: str | None, request: Mapping[str, str]
    ) -> Fault | None:
        if not self.faults:
            return None
        for fault in self.faults:
            if fault.kind in family and not fault.is_spent and fault.applies_to(endpoint, account, request) and fault.strike():
                return fault
        return None


_NUMBER = (int, float)
_FIELDS: dict[str, type | tuple[type, ...]] = {
    "account": str,
    "endpoint": (str, list, tuple),
    "count": int,
    "skip": int,
    "probability": _NUMBER,
    "seed": (int, str),
    "delay_ms": _NUMBER,
    "symbol": str,
    "side": str,
    "tag": str,
}
"""Fields every fault may have."""
_SETTINGS: dict[str, type | tuple[type, ...]] = {
    "accepted": bool,
    "answer": str,
    "asynchronous": bool,
    "error_type": str,
    "heartbeats": bool,
    "how": str,
    "message": str,
    "quantity": int,
    "seconds": _NUMBER,
    "status": int,
    "to": str,
    "when": str,
}
"""Fields of single kinds."""


def _check_fields(fields: dict[str, Any]) -> None:
    known = _FIELDS | _SETTINGS
    for name, value in fields.items():
        if name not in known:
            raise UnknownFault(f"A fault has no field {name!r}; known: {', '.join(sorted(known))}.")
        if value is None:
            continue
        if not isinstance(value, known[name]) or (isinstance(value, bool) and known[name] is not bool):
            raise UnknownFault(f"The field {name!r} of a fault cannot be {value!r}.")
        if isinstance(value, int | float) and not 0 <= value <= _LARGEST:
            raise UnknownFault(f"The field {name!r} of a fault must be between 0 and {_LARGEST}.")


def _make_fault(fault_id: int, kind: str, given: dict[str, Any]) -> Fault:
    _check_fields(given)
    count = given.get("count", None if kind in _LASTING else 1)
    fields = {name: value for name, value in given.items() if value is not None}
    endpoint = fields.get("endpoint")
    endpoints = KINDS[kind] if endpoint is None else (endpoint,) if isinstance(endpoint, str) else tuple(map(str, endpoint))
    if kind not in UPDATES and kind not in SOCKETS and not ENDPOINTS.issuperset(endpoints):
        raise UnknownFault(f"There is no endpoint {endpoint!r}; known: {', '.join(sorted(ENDPOINTS))}.")
    settings = {name: value for name, value in fields.items() if name in _SETTINGS}
    seconds = settings.get("seconds") if kind == "mute" else None
    return Fault(
        fault_id=fault_id,
        kind=kind,
        account=fields.get("account"),
        endpoints=endpoints,
        count=count,
        skip=fields.get("skip", 0),
        probability=fields.get("probability", 1),
        delay_ms=fields.get("delay_ms", 0),
        symbol=fields.get("symbol"),
        side=fields.get("side"),
        tag=fields.get("tag"),
        settings=settings,
        rng=random.Random(fields.get("seed")),
        until_ns=None if seconds is None else now_ns() + int(seconds * SECOND_NS),
    )
