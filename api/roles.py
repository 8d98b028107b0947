"""Who may call what: one table, enforced in one place (`api/access.py`). A route that is not listed here is refused to everybody.

Keys are method and path as in the OpenAPI document, without the prefix. docs/api.md carries the same table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from storage.models import Role


class Scope(str, Enum):
    """What an API key may be used for. A key with none of them can do nothing."""

    READ = "read"
    TRADE = "trade"
    ACCOUNTS = "accounts"


@dataclass(frozen=True, slots=True)
class Rule:
    """`roles` may call, with an access token; with an API key only where a `scope` is named, and only if the key has it.

    No roles at all: the route is public.
    """

    roles: frozenset[Role]
    scope: Scope | None = None

    @property
    def is_public(self) -> bool:
        return not self.roles


PUBLIC = Rule(frozenset())
# A person who is logged in, whatever their role; never an API key: a leaked key must not be able to make itself at home.
PERSON = Rule(frozenset(Role))
_TRADERS = frozenset({Role.ADMIN, Role.USER})
READS = Rule(_TRADERS, Scope.READ)
TRADES = Rule(_TRADERS, Scope.TRADE)
CONNECTS = Rule(_TRADERS, Scope.ACCOUNTS)
# Loosening what protects the money is done by a person.
TRADER_IN_PERSON = Rule(_TRADERS)
STATISTICS = Rule(frozenset({Role.ADMIN, Role.BROKER}), Scope.READ)
ADMINS = Rule(frozenset({Role.ADMIN}))

RULES: Mapping[str, Rule] = {
    # people
    "POST /auth/register": PUBLIC,
    "POST /auth/login": PUBLIC,
    "POST /auth/refresh": PUBLIC,
    "POST /auth/logout": PERSON,
    "GET /auth/me": PERSON,
    "POST /auth/password": PERSON,
    "GET /auth/sessions": PERSON,
    "DELETE /auth/sessions/{session_id}": PERSON,
    "POST /auth/totp": PERSON,
    "POST /auth/totp/confirm": PERSON,
    "POST /auth/totp/disable": PERSON,
    "POST /auth/totp/recovery-codes": PERSON,
    "GET /auth/api-keys": PERSON,
    "POST /auth/api-keys": PERSON,
    "DELETE /auth/api-keys/{key_id}": PERSON,
    # broker accounts
    "POST /broker/connect": CONNECTS,
    "GET /broker/list": READS,
    "GET /broker/stats": STATISTICS,
    "GET /broker/stats/health": STATISTICS,
    "GET /broker/{broker_id}": READS,
    "DELETE /broker/{broker_id}": CONNECTS,
    "GET /broker/{broker_id}/login-url": CONNECTS,
    "POST /broker/{broker_id}/session": CONNECTS,
    "GET /broker/{broker_id}/positions": READS,
    "GET /broker/{broker_id}/orders": READS,
    "GET /broker/{broker_id}/margins": READS,
    "GET /broker/{broker_id}/paper": READS,
    "POST /broker/{broker_id}/paper/reset": CONNECTS,
    "GET /instruments": READS,
    # what brokers call: a signed login state, a signed message
    "GET /broker/{broker}/callback": PUBLIC,
    "POST /postback/{broker}": PUBLIC,
    # strategies and their runs
    "POST /strategy/create": TRADES,
    "GET /strategy/list": READS,
    "GET /strategy/{strategy_id}": READS,
    "PUT /strategy/{strategy_id}": TRADES,
    "DELETE /strategy/{strategy_id}": TRADES,
    "POST /strategy/start": TRADES,
    "POST /strategy/start/{strategy_id}": TRADES,
    "POST /strategy/stop": TRADES,
    "POST /strategy/stop/{strategy_id}": TRADES,
    "PATCH /strategy/{strategy_id}/running": TRADES,
    "GET /strategy/status/{strategy_id}": READS,
    "GET /strategy/{strategy_id}/runs": READS,
    "GET /strategy/{strategy_id}/timeline": READS,
    "GET /strategy/{strategy_id}/stream": READS,
    "GET /stream": READS,
    # what came of them
    "GET /orders": READS,
    "GET /orders/{order_id}": READS,
    "GET /analytics/summary": READS,
    "GET /analytics/pnl": READS,
    "GET /analytics/report": READS,
    "GET /analytics/equity": READS,
    "GET /analytics/report.csv": READS,
    "GET /analytics/runs.csv": READS,
    # ready for the day
    "GET /readiness": READS,
    "GET /readiness/login/{ticket}": PUBLIC,
    # the playground: nothing of it is ever traded
    "POST /playground/simulate": TRADES,
    "POST /playground/backtest": TRADES,
    "GET /playground/results": READS,
    "GET /playground/results/{result_id}": READS,
    "GET /playground/results/{result_id}/days": READS,
    "GET /playground/results/{result_id}/days.csv": READS,
    "POST /playground/results/{result_id}/cancel": TRADES,
    "DELETE /playground/results/{result_id}": TRADES,
    "POST /playground/data": TRADES,
    "POST /playground/data/from-broker": TRADES,
    "GET /playground/data": READS,
    "DELETE /playground/data/{data_id}": TRADES,
    # whom a user wants told
    "GET /notifications/targets": READS,
    "POST /notifications/targets": TRADER_IN_PERSON,
    "PATCH /notifications/targets/{target_id}": TRADER_IN_PERSON,
    "DELETE /notifications/targets/{target_id}": TRADER_IN_PERSON,
    "POST /notifications/targets/{target_id}/test": TRADER_IN_PERSON,
    "GET /notifications/devices": READS,
    "POST /notifications/devices": TRADER_IN_PERSON,
    "PATCH /notifications/devices/{device_id}": TRADER_IN_PERSON,
    "DELETE /notifications/devices/{device_id}": TRADER_IN_PERSON,
    "POST /notifications/devices/{device_id}/test": TRADER_IN_PERSON,
    # what protects the money
    "GET /kill-switch": READS,
    "POST /kill-switch": TRADES,
    "DELETE /kill-switch": TRADER_IN_PERSON,
    "GET /risk-limits": READS,
    "PUT /risk-limits": TRADER_IN_PERSON,
    "GET /alerts": READS,
    "POST /alerts/{alert_id}/acknowledge": TRADER_IN_PERSON,
    # administration
    "GET /admin/users": ADMINS,
    "POST /admin/users": ADMINS,
    "GET /admin/users/{user_id}": ADMINS,
    "PATCH /admin/users/{user_id}": ADMINS,
    "DELETE /admin/users/{user_id}": ADMINS,
    "GET /admin/strategies": ADMINS,
    "POST /admin/strategies/{strategy_id}/force-stop": ADMINS,
    "GET /admin/system": ADMINS,
    "GET /admin/system/metrics": ADMINS,
    "GET /admin/logs": ADMINS,
    "GET /admin/config": ADMINS,
    "PUT /admin/config/maintenance": ADMINS,
    "PUT /admin/config/brokers/{broker}": ADMINS,
    "PUT /admin/config/flags/{flag}": ADMINS,
    "GET /admin/audit": ADMINS,
    "GET /admin/audit/check": ADMINS,
    # operation
    "GET /health": PUBLIC,
    "GET /ready": PUBLIC,
    "GET /metrics": PUBLIC,
}


def rule_for(method: str, path: str) -> Rule | None:
    """The rule of a route; `path` is its template without the prefix. None: nobody has thought about it."""
    return RULES.get(f"{method.upper()} {path}")
