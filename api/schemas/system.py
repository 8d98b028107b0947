"""The installation as an Admin sees it: processes, feeds, queues, stores, budgets, clocks."""

from api.schemas.common import Answer
from api.schemas.operation import Readiness


class System(Answer):
    version: str
    readiness: Readiness
    users: int
    strategies: int
    open_runs: int
    orders_in_doubt: int
    open_alerts: int
    temporal_ui_url: str
