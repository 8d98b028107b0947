"""Every name used in Redis."""

from datetime import date

from trading.instruments import InstrumentId

# Symbols of this exchange are written bare (`price:TCS`), those of any other with their exchange (`price:BSE:TCS`).
_BARE_EXCHANGE = "NSE"

STOPS_CHANNEL = "stops"
ARMED_CHANNEL = "armed"
RUNS_CHANNEL = "runs"
LEASES_CHANNEL = "leases"
PAPER_CHANNEL = "paper"
HEARTBEAT_NAMES = "heartbeats"
# Set once everything has been rebuilt; gone when Redis was emptied or restarted.
COMPLETE = "cache:complete"


def symbol_name(instrument: InstrumentId) -> str:
    return instrument.symbol if instrument.exchange == _BARE_EXCHANGE else str(instrument)


def price_key(instrument: InstrumentId) -> str:
    return f"price:{symbol_name(instrument)}"


def symbol_strategies_key(instrument: InstrumentId) -> str:
    return f"symbol:{symbol_name(instrument)}:strategies"


def strategy_key(strategy_id: str) -> str:
    return f"strategy:{strategy_id}"


def runtime_key(strategy_id: str) -> str:
    return f"runtime:{strategy_id}"


def heartbeat_key(name: str) -> str:
    return f"heartbeat:{name}"


def orders_channel(account_id: str) -> str:
    return f"orders:{account_id}"


def strategy_channel(strategy_id: str) -> str:
    return f"strategy:{strategy_id}:updates"


def user_channel(user_id: str) -> str:
    return f"user:{user_id}:updates"


def turns_key(account: str, name: str) -> str:
    """Instants of the newest calls of one kind at an account's broker."""
    return f"turns:{account}:{name}"


def complaints_key(account: str, day: date) -> str:
    return f"complaints:{account}:{day.isoformat()}"
