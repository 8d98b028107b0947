"""Whether an account is ready for the day: pure checks over facts, each with what it found and what to do, in plain words.

What could not be read is `unknown`: it is never taken for fine, nor for wrong.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum

from trading.accounts import Environment
from trading.instruments import Product
from trading.sessions import INDIA

ZERO = Decimal(0)
# The least margin the regulator lets brokers ask for intraday trades in shares: a fifth of the value.
LEAST_INTRADAY_MARGIN = Decimal("0.2")


class CheckState(str, Enum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Verdict(str, Enum):
    """`not_ready`: something planned cannot work as it stands; `look`: something may not; `idle`: nothing is planned."""

    READY = "ready"
    LOOK = "look"
    NOT_READY = "not_ready"
    IDLE = "idle"


@dataclass(frozen=True, slots=True)
class Check:
    """`advice` is empty when there is nothing to do. `strategy_id`: the one strategy it is about."""

    name: str
    state: CheckState
    found: str
    advice: str = ""
    strategy_id: str | None = None


@dataclass(frozen=True, slots=True)
class Planned:
    """What one strategy will do on the day. `last_price` None: not known; `is_listed` None: no list is loaded."""

    strategy_id: str
    symbol: str
    product: Product
    quantity: int
    stop_loss: Decimal
    sells_at: datetime
    has_bought: bool = False
    is_listed: bool | None = True
    last_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Login:
    """`works`: what the broker said to the token just now; None when it could not be asked, `trouble` says why."""

    is_stored: bool
    expires_at: datetime | None
    works: bool | None
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Feed:
    """`is_live` None: nobody could say."""

    is_live: bool | None
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Address:
    """The address registered with the broker and the one orders leave from; empty or None: not known."""

    registered: str
    seen: str | None


@dataclass(frozen=True, slots=True)
class Facts:
    """Of one account. `funds` None: not read; `clock_error` empty: no clock is shown to be wrong."""

    day: date
    environment: Environment
    planned: Sequence[Planned]
    login: Login
    instruments_of: date | None
    feed: Feed
    clock_error: str
    address: Address
    funds: Decimal | None


def judge(facts: Facts) -> tuple[Check, ...]:
    """Every check, the same ones every day."""
    return (
        _login(facts),
        _instruments(facts),
        _feed(facts.feed),
        _clock(facts.clock_error),
        _address(facts),
        _funds(facts),
        *_stops(facts.planned),
    )


def verdict_of(facts: Facts, checks: Iterable[Check]) -> Verdict:
    if not facts.planned:
        return Verdict.IDLE
    states = {check.state for check in checks}
    if CheckState.FAILED in states:
        return Verdict.NOT_READY
    return Verdict.LOOK if states & {CheckState.WARNING, CheckState.UNKNOWN} else Verdict.READY


def _login(facts: Facts) -> Check:
    login, advice = facts.login, "Log in to the broker"
    if not login.is_stored:
        return Check("login", CheckState.FAILED, "The account is not logged in", advice)
    last_exit = max((plan.sells_at for plan in facts.planned), default=None)
    if login.works is False:
        return Check("login", CheckState.FAILED, "The broker does not accept the login any more", advice)
    if login.expires_at is not None and last_exit is not None and login.expires_at <= last_exit:
        ends, needed = login.expires_at.astimezone(INDIA), last_exit.astimezone(INDIA)
        found = f"The login ends at {ends:%d %b %H:%M}, before the last exit at {needed:%H:%M}"
        return Check("login", CheckState.FAILED, found, advice)
    if login.works is None:
        return Check("login", CheckState.UNKNOWN, f"The broker could not be asked: {login.trouble}", "Look again in a minute")
    return Check("login", CheckState.OK, "Logged in through the last exit")


def _instruments(facts: Facts) -> Check:
    missing = [plan.symbol for plan in facts.planned if plan.is_listed is False]
    if missing:
        found = f"Not in the broker's list of {facts.instruments_of}: {', '.join(sorted(set(missing)))}"
        return Check("instruments", CheckState.FAILED, found, "Stop these strategies, or correct their symbols")
    if facts.instruments_of is None:
        return Check("instruments", CheckState.FAILED, "No instrument list is loaded", "Ask the operator: the list must load")
    if facts.instruments_of < facts.day:
        found = f"The instrument list is of {facts.instruments_of}"
        return Check("instruments", CheckState.WARNING, found, "A new one is loaded every morning; look again before the open")
    return Check("instruments", CheckState.OK, f"The list is of {facts.instruments_of}")


def _feed(feed: Feed) -> Check:
    if feed.is_live is None:
        return Check("feed", CheckState.UNKNOWN, f"Nobody could say: {feed.trouble}", "Look again in a minute")
    if not feed.is_live:
        return Check(
            "feed", CheckState.FAILED, f"No market data: {feed.trouble}", "Log in a broker account; else ask the operator"
        )
    return Check("feed", CheckState.OK, "Market data is connected")


def _clock(error: str) -> Check:
    if error:
        return Check("clock", CheckState.FAILED, f"A clock is wrong: {error}", "Ask the operator to set the machine's clock")
    return Check("clock", CheckState.OK, "No clock contradicts ours")


def _address(facts: Facts) -> Check:
    address = facts.address
    if facts.environment is not Environment.LIVE:
        return Check("static_ip", CheckState.OK, "Not needed: the account is simulated")
    if not address.registered or not address.seen:
        what = "which address is registered" if not address.registered else "which address orders leave from"
        found, advice = f"Not known: {what}", "The operator sets REGISTERED_IP and PUBLIC_IP_URL"
        return Check("static_ip", CheckState.UNKNOWN, found, advice)
    if address.seen != address.registered:
        found = f"Orders leave from {address.seen}, registered is {address.registered}: the broker will refuse them"
        return Check(
            "static_ip", CheckState.FAILED, found, "Register the address with the broker, or let orders leave from the other"
        )
    return Check("static_ip", CheckState.OK, f"Orders leave from {address.seen}, as registered")


def _funds(facts: Facts) -> Check:
    buys = [plan for plan in facts.planned if not plan.has_bought]
    if not buys:
        return Check("funds", CheckState.OK, "Nothing is to be bought")
    unpriced = sorted({plan.symbol for plan in buys if plan.last_price is None})
    if unpriced:
        found = f"The price is not known of {', '.join(unpriced)}"
        return Check("funds", CheckState.UNKNOWN, found, "Look again in a minute")
    if facts.funds is None:
        return Check("funds", CheckState.UNKNOWN, "The broker did not say what is available", "Look again in a minute")
    whole = sum((_value(plan) for plan in buys), ZERO)
    least = sum((_value(plan) * (LEAST_INTRADAY_MARGIN if plan.product is Product.MIS else 1) for plan in buys), ZERO)
    told = f"₹{facts.funds:,.2f} available, planned purchases are worth ₹{whole:,.2f}"
    if facts.funds < least:
        return Check("funds", CheckState.FAILED, told, f"Add at least ₹{least - facts.funds:,.2f}, or plan less")
    if facts.funds < whole:
        return Check("funds", CheckState.WARNING, told, "Enough only with the broker's intraday margin: compare with its rates")
    return Check("funds", CheckState.OK, told)


def _value(plan: Planned) -> Decimal:
    return plan.quantity * (plan.last_price or ZERO)


def _stops(planned: Iterable[Planned]) -> Iterable[Check]:
    """One for each purchase whose price is already at or below its stop; one line in all when there is none."""
    buys = [plan for plan in planned if not plan.has_bought and plan.last_price is not None]
    low = [plan for plan in buys if plan.last_price is not None and plan.last_price <= plan.stop_loss]
    if not low:
        yield Check("stop", CheckState.OK, "No known price is at or below its stop")
    for plan in low:
        found = f"{plan.symbol} is at ₹{plan.last_price:,.2f}, not above its stop ₹{plan.stop_loss:,.2f}"
        advice = "If that is still so at the buy time nothing is bought: lower the stop, or leave it"
        yield Check("stop", CheckState.WARNING, found, advice, plan.strategy_id)
