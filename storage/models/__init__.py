"""All tables. Importing this package is what makes the metadata complete."""

from storage.models.accounts import (
    BrokerAccount,
    DatabaseServer,
    DeskLease,
    DeskWorker,
    InstrumentRow,
    PositionLedger,
    ReadinessCheck,
)
from storage.models.base import Base
from storage.models.notifications import DevicePlatform, DeviceToken, NotificationTarget
from storage.models.operations import AuditSeal, LogEntry, LogKind, MetricSample
from storage.models.orders import ChangeKind, ChangeState, FillRow, Order, OrderLog
from storage.models.paper import PaperAccount, PaperHolding, PaperOrder, PaperTrade
from storage.models.people import ApiKey, AuditEntry, IdempotencyKey, RecoveryCode, Role, Session, User, UserState
from storage.models.playground import JobKind, JobState, PlaygroundData, PlaygroundDay, PlaygroundJob
from storage.models.safety import Alert, AlertDelivery, AlertEvent, KillScope, KillSwitch, RiskLimit, Setting, Severity
from storage.models.strategies import Run, RunEvent, Strategy, StrategyVersion

__all__ = [
    "Alert",
    "AlertDelivery",
    "AlertEvent",
    "ApiKey",
    "AuditEntry",
    "AuditSeal",
    "Base",
    "BrokerAccount",
    "ChangeKind",
    "ChangeState",
    "DatabaseServer",
    "DeskLease",
    "DeskWorker",
    "DevicePlatform",
    "DeviceToken",
    "FillRow",
    "IdempotencyKey",
    "InstrumentRow",
    "JobKind",
    "JobState",
    "KillScope",
    "KillSwitch",
    "LogEntry",
    "LogKind",
    "MetricSample",
    "NotificationTarget",
    "Order",
    "OrderLog",
    "PaperAccount",
    "PaperHolding",
    "PaperOrder",
    "PaperTrade",
    "PlaygroundData",
    "PlaygroundDay",
    "PlaygroundJob",
    "PositionLedger",
    "ReadinessCheck",
    "RecoveryCode",
    "RiskLimit",
    "Role",
    "Run",
    "RunEvent",
    "Session",
    "Setting",
    "Severity",
    "Strategy",
    "StrategyVersion",
    "User",
    "UserState",
]
