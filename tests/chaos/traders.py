"""Simulated people: each signs up, connects an account, and keeps several strategies trading, as an app would.

A trader also does what people do: stops, keeps positions, moves stops and sell times, trades by hand, logs in again.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.chaos.calls import Caller, NoAnswer, NotGranted
from tests.chaos.market import SYMBOLS, Market, on_tick
from trading.accounts import BrokerName
from trading.sessions import INDIA

LOOK_SECONDS = 2.0
_TOKENS = {"access_token": "access_token"}
# The exchange's names for what a login yields, and what connecting calls them, by broker.
FIELDS: dict[BrokerName, dict[str, str]] = {
    BrokerName.ZERODHA: {"api_key": "api_key", "api_secret": "api_secret", **_TOKENS},
    BrokerName.DHAN: {"user_id": "client_id", **_TOKENS},
    BrokerName.ANGEL_ONE: {
        "api_key": "api_key",
        "user_id": "client_code",
        **_TOKENS,
        "refresh_token": "refresh_token",
        "feed_token": "feed_token",
    },
    BrokerName.FYERS: {"api_key": "app_id", "api_secret": "secret_id", **_TOKENS},
}
_PASSWORD = "a long password"
# Rupees; and how many shares of an order one price may fill, by turns, so that some accounts fill in parts.
_PAPER_CASH = 1_000_000
_LARGEST_FILLS = (9, None)
_OVER = frozenset({"completed", "stopped", "failed", "created"})


@dataclass(slots=True)
class Tally:
    """What all traders have done, counted; `states` is each strategy's state as last seen."""

    deeds: Counter[str] = field(default_factory=Counter)
    states: dict[str, str] = field(default_factory=dict)

    def by_state(self) -> Counter[str]:
        return Counter(self.states.values())


@dataclass(slots=True)
class Trader:
    """One user with one account `sim-<name>`, a name that a paper account has in these tests alone. `own_shares`: bought by hand,
    the user's own business."""

    name: str
    api: Caller
    control: Caller
    market: Market
    rng: random.Random
    tally: Tally
    strategies: int
    broker: BrokerName = BrokerName.ZERODHA
    broker_id: str = ""
    closing: bool = False
    _live: list[str] = field(default_factory=list)
    _own_shares: Counter[str] = field(default_factory=Counter)

    @property
    def api_key(self) -> str:
        return f"sim-{self.name}"

    @property
    def is_at_a_broker(self) -> bool:
        """A paper account has nobody to log in at, or to trade by hand with."""
        return self.broker is not BrokerName.PAPER

    # --- beginnings ---------------------------------------------------------------------------------------------------

    async def sign_up(self) -> None:
        person = {"email": f"{self.name}@example.com", "password": _PASSWORD, "name": self.name}
        self.api.token = (await self._until_answered("POST", "/auth/register", person))["token"]
        answer = await self.api.surely("POST", "/broker/connect", {"broker": self.broker.value, **await self._terms()})
        self.broker_id = str(answer["broker_id"])

    async def _terms(self) -> dict[str, object]:
        """What connecting takes: a login at the exchange, or the rules of a paper account."""
        if not self.is_at_a_broker:
            return {"cash": _PAPER_CASH, "largest_fill": _LARGEST_FILLS[sum(self.name.encode()) % 2]}
        login = await self._log_in()
        return {theirs: login[ours] for ours, theirs in FIELDS[self.broker].items() if login[ours]}

    async def _log_in(self) -> dict[str, str]:
        """As a person would at the broker: a new session; credentials and tokens by the exchange's names for them."""
        login: dict[str, str] = await self.control.surely(
            "POST", f"/accounts/{self.api_key}/access-token", {"dialect": self.broker.value}
        )
        return login

    async def _until_answered(self, method: str, path: str, body: object) -> Any:
        """Registering again after an answer that was lost is refused: then log in."""
        while True:
            try:
                return await self.api(method, path, body)
            except NoAnswer:
                await asyncio.sleep(1)
            except NotGranted as refusal:
                if refusal.code == "EMAIL_TAKEN":
                    path, body = "/auth/login", {"email": f"{self.name}@example.com", "password": _PASSWORD}
                elif refusal.status != 429:
                    raise
                await asyncio.sleep(1)

    # --- a trader's life ----------------------------------------------------------------------------------------------

    async def trade(self) -> None:
        """Until `closing`. Whatever the platform refuses or leaves unanswered is taken as people take it: look again."""
        await asyncio.sleep(self.rng.uniform(0, LOOK_SECONDS))
        while not self.closing:
            try:
                await self._look()
                if len(self._live) < self.strategies:
                    await self._start_another()
                await self._do_something()
            except NoAnswer:
                self.tally.deeds["unanswered"] += 1
            except NotGranted as refusal:
                self.tally.deeds[f"refused {refusal.code or refusal.status}"] += 1
                if refusal.code in ("BROKER_NOT_CONNECTED", "BROKER_AUTH_FAILED"):
                    await self._gently(self.log_in_again)
            await asyncio.sleep(self.rng.uniform(0.5, 1.5) * LOOK_SECONDS)

    async def _gently(self, deed: Callable[[], Awaitable[None]]) -> None:
        try:
            await deed()
        except (NoAnswer, NotGranted):
            self.tally.deeds["unanswered"] += 1

    async def _look(self) -> None:
        items = (await self.api("GET", "/strategy/list?limit=100"))["items"]
        for item in items:
            self.tally.states[item["strategy_id"]] = item["status"]
        self._live = [item["strategy_id"] for item in items if item["status"] == "running"]

    async def _start_another(self) -> None:
        symbol = self.rng.choice(self._symbols())
        price = self.market.price(symbol)
        stop = on_tick(price * (1 - Decimal(self.rng.randint(40, 150)) / 10_000))
        now = datetime.now(INDIA)
        at_once = self.rng.random() < 0.6
        buys_in = 0 if at_once else self.rng.randint(4, 15)
        plan = {
            "symbol": symbol,
            "quantity": self.rng.randint(1, 30),
            "buy_time": "00:00:00" if at_once else _clock(now + timedelta(seconds=buys_in)),
            "sell_time": _clock(now + timedelta(seconds=buys_in + self.rng.choice([12, 25, 60, 3600]))),
            "stop_loss": str(stop),
        }
        strategy = (await self.api("POST", "/strategy/create", plan))["strategy_id"]
        await self.api("POST", f"/strategy/start/{strategy}", {"start": "now" if at_once else "scheduled"})
        self.tally.deeds["started"] += 1

    def _symbols(self) -> list[str]:
        """Three per account, so that strategies of one account often share a symbol."""
        names = list(SYMBOLS)
        first = sum(self.name.encode()) % len(names)
        return [names[(first + offset) % len(names)] for offset in range(3)]

    async def _do_something(self) -> None:
        deeds: list[tuple[Callable[[], Awaitable[None]], int]] = [
            (self._nothing, 60),
            (self._move_stop, 8),
            (self._move_sell_time, 8),
            (self._stop_one, 8),
            (self._keep_one, 3),
        ]
        if self.is_at_a_broker:
            deeds += [
                (self._buy_by_hand, 4),
                (self._sell_own_by_hand, 4),
                (self._close_by_hand, 2),
                (self.log_in_again, 2),
                (self._lose_login, 1),
            ]
        await self.rng.choices([deed for deed, _ in deeds], [weight for _, weight in deeds])[0]()

    async def _nothing(self) -> None:
        return

    # --- what people do to their trades ---------------------------------------------------------------------------------

    async def _move_stop(self) -> None:
        if self._live:
            strategy = self.rng.choice(self._live)
            symbol = (await self.api("GET", f"/strategy/{strategy}"))["symbol"]
            stop = on_tick(self.market.price(symbol) * (1 - Decimal(self.rng.randint(20, 200)) / 10_000))
            await self.api("PATCH", f"/strategy/{strategy}/running", {"stop_loss": str(stop)})
            self.tally.deeds["stop moved"] += 1

    async def _move_sell_time(self) -> None:
        if self._live:
            sell_time = _clock(datetime.now(INDIA) + timedelta(seconds=self.rng.randint(20, 90)))
            await self.api("PATCH", f"/strategy/{self.rng.choice(self._live)}/running", {"sell_time": sell_time})
            self.tally.deeds["sell time moved"] += 1

    async def _stop_one(self) -> None:
        if self._live:
            await self.api("POST", f"/strategy/stop/{self.rng.choice(self._live)}", {"square_off": True})
            self.tally.deeds["stopped"] += 1

    async def _keep_one(self) -> None:
        if self._live:
            await self.api("POST", f"/strategy/stop/{self.rng.choice(self._live)}", {"square_off": False})
            self.tally.deeds["stopped, position kept"] += 1

    # --- what people do at the broker's ----------------------------------------------------------------------------------

    async def _by_hand(self, symbol: str, side: str, quantity: int) -> None:
        order = {"tradingsymbol": symbol, "transaction_type": side, "quantity": quantity}
        await self.control("POST", f"/accounts/{self.api_key}/orders", order)
        self.tally.deeds[f"{side.lower()} by hand"] += 1

    async def _buy_by_hand(self) -> None:
        symbol, quantity = self.rng.choice(self._symbols()), self.rng.randint(1, 10)
        self._own_shares[symbol] += quantity
        await self._by_hand(symbol, "BUY", quantity)

    async def _sell_own_by_hand(self) -> None:
        held = [symbol for symbol, quantity in self._own_shares.items() if quantity > 0]
        if held:
            symbol = self.rng.choice(sorted(held))
            await self._by_hand(symbol, "SELL", self._own_shares.pop(symbol))

    async def _close_by_hand(self) -> None:
        """Sells in the broker's own app what a strategy holds: the platform has to notice and stand back."""
        if self._live:
            status = await self.api("GET", f"/strategy/status/{self.rng.choice(self._live)}")
            if status["quantity"] and not status["exit_reason"]:
                symbol = (await self.api("GET", f"/strategy/{status['strategy_id']}"))["symbol"]
                await self._by_hand(symbol, "SELL", int(status["quantity"]))
                self.tally.deeds["closed by hand"] += 1

    async def _lose_login(self) -> None:
        await self.control("POST", f"/accounts/{self.api_key}/expire-token")
        self.tally.deeds["logins lost"] += 1
        await asyncio.sleep(self.rng.uniform(1, 8))
        await self.log_in_again()

    async def log_in_again(self) -> None:
        if not self.is_at_a_broker:
            return
        login = await self._log_in()
        tokens = {name: login[name] for name in ("access_token", "refresh_token", "feed_token") if login[name]}
        await self.api.surely("POST", f"/broker/{self.broker_id}/session", tokens)
        self.tally.deeds["logins"] += 1

    # --- the end ----------------------------------------------------------------------------------------------------------

    async def close_all(self) -> None:
        """Logs in once more and stops whatever runs, until the platform has taken every stop."""
        await self._gently(self.log_in_again)
        while True:
            try:
                await self._look()
                for strategy in self._live:
                    await self._stop(strategy)
                return
            except (NoAnswer, NotGranted):
                await asyncio.sleep(1)

    async def _stop(self, strategy: str) -> None:
        try:
            await self.api("POST", f"/strategy/stop/{strategy}", {"square_off": True})
        except NotGranted as refusal:
            if refusal.code != "NOT_RUNNING":
                raise

    async def let_orders_trade(self) -> None:
        """The exchange lets go of what a fault has kept from trading."""
        if not self.is_at_a_broker:
            return
        for order in await self.control.surely("GET", f"/accounts/{self.api_key}/orders"):
            if order["status"] == "OPEN":
                await self.control.surely("POST", f"/accounts/{self.api_key}/orders/{order['order_id']}/release")

    async def still_open(self) -> int:
        await self._look()
        return len(self._live)


def _clock(instant: datetime) -> str:
    return f"{instant:%H:%M:%S}"
