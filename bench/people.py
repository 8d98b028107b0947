"""Users, accounts, strategies: written straight into Postgres with the product's own models, sealing and repositories.

Signing ten thousand people up over HTTP would measure the hashing of passwords. What begins a run is not short-cut: it is
started by `api.starting.start`, the function behind the API's own route.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from api.connecting import HEALTHY
from api.deps import Caller as Person
from api.starting import StartedRun, start
from api.tokens import ACCESS, new_refresh_token, refresh_token_hash
from bench.stack import World
from storage.ids import new_id
from storage.models import BrokerAccount, Role, Strategy, User
from storage.repositories import sessions, strategies
from storage.repositories.sessions import Device
from trading.accounts import BrokerName, Credentials, Environment
from trading.instruments import Product
from trading.runs import StrategyState

QUANTITY = 10
AT_ONCE = 16
_ROWS_AT_ONCE = 200
# The hash of nothing: nobody logs in with it.
_NOBODYS_HASH = "-"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Holder:
    """A person with one logged-in account at the exchange; `key` is its name there."""

    key: str
    account_id: str
    person: Person


@dataclass(frozen=True, slots=True)
class Planned:
    """A strategy that can be started."""

    holder: Holder
    strategy_id: str
    symbol: str


@dataclass(frozen=True, slots=True)
class Times:
    """Of a plan, Indian time."""

    buy: time = time(0, 0, 0)
    sell: time = time(23, 59, 59)


async def add_holders(world: World, names: Sequence[str]) -> list[Holder]:
    """As many people as names, each with an account `sim-<name>`."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def log_in(name: str) -> dict[str, Any]:
        async with gate:
            return dict(await world.control("POST", f"/accounts/sim-{name}/access-token"))

    logins = await asyncio.gather(*(log_in(name) for name in names))
    holders: list[Holder] = []
    for some in _pieces(list(zip(names, logins, strict=True))):
        holders += await _store(world, some)
    return holders


async def _store(world: World, some: Sequence[tuple[str, dict[str, Any]]]) -> list[Holder]:
    services, now = world.services, datetime.now(UTC)
    users, accounts, holders = [], [], []
    for name, login in some:
        user = User(email=f"{name}@example.org", name=name, password_hash=_NOBODYS_HASH, role=Role.USER)
        account = BrokerAccount(
            user_id=user.id,
            broker=BrokerName.ZERODHA,
            environment=Environment.SIMULATED,
            broker_user_id=login["user_id"],
            session_version=1,
            session_started_at=now,
            token_expires_at=now + timedelta(hours=12),
            health=HEALTHY,
        )
        services.accounts.seal(account, Credentials(login["api_key"], f"{login['api_key']}-secret", login["access_token"]))
        users.append(user)
        accounts.append(account)
        person = Person(user.id, user.email, name, Role.USER, None, now, new_id("fam"), now + timedelta(hours=12))
        holders.append(Holder(login["api_key"], account.id, person))
    async with services.database.transaction() as session:
        session.add_all(users)
        await session.flush()
        session.add_all(accounts)
        for holder in holders:
            sessions.add(
                session,
                user_id=holder.person.user_id,
                family_id=holder.person.session_family,
                token_hash=refresh_token_hash(new_refresh_token()),
                expires_at=holder.person.token_expires_at,
                device=Device("", ""),
                now=now,
            )
    return holders


def token_of(world: World, holder: Holder) -> str:
    """An access token as a login answers it, good for an hour."""
    person = holder.person
    life = timedelta(hours=1)
    return world.services.signer.sign(audience=ACCESS, user_id=person.user_id, subject_id=person.session_family, life=life)


async def add_strategies(
    world: World, wanted: Sequence[tuple[Holder, str]], *, stops: dict[str, Decimal], times: Times | None = None
) -> list[Planned]:
    """One strategy per (holder, symbol), with the stop of its symbol."""
    chosen, planned = times or Times(), []
    for some in _pieces(wanted):
        async with world.services.database.transaction() as session:
            for holder, symbol in some:
                strategy = _strategy(holder, symbol, stops[symbol], chosen)
                session.add(strategy)
                await session.flush()
                strategies.keep_version(session, strategy, by=holder.person.user_id)
                planned.append(Planned(holder, strategy.id, symbol))
    return planned


def _strategy(holder: Holder, symbol: str, stop: Decimal, times: Times) -> Strategy:
    return Strategy(
        user_id=holder.person.user_id,
        account_id=holder.account_id,
        exchange="NSE",
        symbol=symbol,
        product=Product.MIS,
        quantity=QUANTITY,
        buy_time=times.buy,
        sell_time=times.sell,
        stop_loss=stop,
        version=1,
        state=StrategyState.CREATED,
        created_by=holder.person.user_id,
    )


async def start_all(world: World, planned: Iterable[Planned], *, now_wanted: bool) -> list[StartedRun]:
    """A few at a time. Raises ApiError when one cannot be started: then there is nothing to measure."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(each: Planned) -> StartedRun:
        async with gate:
            return await start(world.services, each.holder.person, strategy_id=each.strategy_id, now_wanted=now_wanted)

    return await asyncio.gather(*(one(each) for each in planned))


def _pieces(things: Sequence[T]) -> Iterable[Sequence[T]]:
    return (things[at : at + _ROWS_AT_ONCE] for at in range(0, len(things), _ROWS_AT_ONCE))
