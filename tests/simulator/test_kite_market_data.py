"""Quotes, candles and the instrument master over REST."""

import csv
import io
from datetime import date
from itertools import pairwise

import pytest

from simulator.clock import india_text
from simulator.exchange.listing import monthly_expiry
from simulator.exchange.sessions import Hours
from simulator.testing import RunningSimulator, running_simulator
from tests.simulator.kite_client import KiteClient
from tests.simulator.market import NOON


def stand_still_at_noon(sim: RunningSimulator) -> None:
    sim.exchange.clock = lambda: NOON
    sim.exchange.accounts["sim-alice"].access_token_expires_ns = NOON + 1


async def test_last_prices_by_key_and_token_without_the_unknown(kite: KiteClient) -> None:
    answer = await kite.request("GET", "/quote/ltp?i=NSE:TCS&i=NSE:NOPE&i=NSE:NIFTY+50&i=408065")
    assert answer.data == {
        "NSE:TCS": {"instrument_token": 2953217, "last_price": 3600},
        "NSE:NIFTY 50": {"instrument_token": 256265, "last_price": 24450},
        "408065": {"instrument_token": 408065, "last_price": 1500},
    }
    assert (await kite.get("/quote/ltp")).error == (400, "InputException")


async def test_ohlc_follows_the_day(kite: KiteClient, sim: RunningSimulator) -> None:
    for price in (3650, 3550, 3610):
        sim.set_price("TCS", price)
    row = (await kite.get("/quote/ohlc", i="NSE:TCS")).data["NSE:TCS"]
    assert row["ohlc"] == {"open": 3600, "high": 3650, "low": 3550, "close": 3600}
    assert row["last_price"] == 3610


async def test_a_full_quote_has_the_documented_fields(kite: KiteClient) -> None:
    await kite.placed(quantity="7")
    row = (await kite.get("/quote", i="NSE:TCS")).data["NSE:TCS"]
    assert set(row) == {
        "instrument_token", "timestamp", "last_trade_time", "last_price", "last_quantity", "buy_quantity", "sell_quantity",
        "volume", "average_price", "oi", "oi_day_high", "oi_day_low", "net_change", "lower_circuit_limit",
        "upper_circuit_limit", "ohlc", "depth",
    }  # fmt: skip
    assert (row["volume"], row["average_price"], row["last_quantity"]) == (7, 3600, 7)
    assert (row["lower_circuit_limit"], row["upper_circuit_limit"]) == (2880, 4320)
    assert [level["price"] for level in row["depth"]["buy"]] == [3599.9, 3599.8, 3599.7, 3599.6, 3599.5]
    assert row["depth"]["sell"][0] == {"price": 3600.1, "quantity": 500, "orders": 1}
    index = (await kite.get("/quote", i="NSE:NIFTY 50")).data["NSE:NIFTY 50"]
    assert "depth" not in index


async def test_too_many_keys_are_refused(kite: KiteClient) -> None:
    query = "&".join("i=NSE:TCS" for _ in range(501))
    assert (await kite.request("GET", f"/quote?{query}")).error == (400, "InputException")
    assert (await kite.request("GET", f"/quote/ltp?{query}")).status == 200


async def test_the_master_is_csv_in_the_documented_columns_and_needs_no_token(kite: KiteClient) -> None:
    answer = await kite.request("GET", "/instruments/NSE", headers={})
    assert answer.content_type == "text/csv"
    rows = {row["tradingsymbol"]: row for row in csv.DictReader(io.StringIO(answer.body))}
    assert list(rows["TCS"]) == [
        "instrument_token", "exchange_token", "tradingsymbol", "name", "last_price", "expiry", "strike", "tick_size",
        "lot_size", "instrument_type", "segment", "exchange",
    ]  # fmt: skip
    tokens = {symbol: int(rows[symbol]["instrument_token"]) for symbol in ("RELIANCE", "TCS", "INFY", "SBIN", "NIFTY 50")}
    assert tokens == {"RELIANCE": 738561, "TCS": 2953217, "INFY": 408065, "SBIN": 779521, "NIFTY 50": 256265}
    assert (rows["NIFTY 50"]["segment"], rows["NIFTY 50"]["lot_size"]) == ("INDICES", "0")
    assert [rows[symbol]["tick_size"] for symbol in ("IDEA", "SBIN", "TCS", "MARUTI", "SHREECEM")] == [
        "0.01", "0.05", "0.10", "1.00", "5.00",
    ]  # fmt: skip


async def test_the_whole_master_has_unique_tokens_and_live_derivatives(kite: KiteClient, sim: RunningSimulator) -> None:
    rows = list(csv.DictReader(io.StringIO((await kite.request("GET", "/instruments")).body)))
    assert len({row["instrument_token"] for row in rows}) == len(rows) == len(sim.exchange.markets)
    assert {row["exchange"] for row in rows} == {"NSE", "BSE", "NFO"}
    options = [row for row in rows if row["segment"] == "NFO-OPT"]
    assert {row["instrument_type"] for row in options} == {"CE", "PE"}
    assert all(row["expiry"] >= sim.exchange.trading_day for row in rows if row["expiry"])
    assert (await kite.get("/instruments/XYZ")).error == (400, "InputException")


@pytest.mark.parametrize(
    ("day", "expiry"), [("2026-11-01", "2026-11-24"), ("2026-11-24", "2026-11-24"), ("2026-11-25", "2026-12-29"),
                        ("2026-12-30", "2027-01-26")]
)  # fmt: skip
def test_derivatives_expire_on_the_last_tuesday_of_a_month(day: str, expiry: str) -> None:
    assert monthly_expiry(date.fromisoformat(day)).isoformat() == expiry


async def test_extra_instruments_can_be_traded() -> None:
    async with running_simulator(extra_instruments=3) as sim:
        assert [key for key in sim.exchange.markets if "SYM" in key] == ["NSE:SYM0001", "NSE:SYM0002", "NSE:SYM0003"]
        sim.place_by_hand("a", symbol="SYM0002", side="BUY", quantity=5)
        assert sim.net_position("a", "SYM0002") == 5


@pytest.mark.parametrize(("interval", "step_minutes"), [("minute", 1), ("5minute", 5), ("60minute", 60)])
async def test_candles_are_spaced_by_their_interval_and_repeat_themselves(
    kite: KiteClient, sim: RunningSimulator, interval: str, step_minutes: int
) -> None:
    stand_still_at_noon(sim)
    path = f"/instruments/historical/2953217/{interval}"
    query = {"from": "2026-11-20 09:15:00", "to": "2026-11-20 12:15:00"}
    candles = (await kite.get(path, **query)).data["candles"]
    assert candles == (await kite.get(path, **query)).data["candles"]
    minutes = [int(row[0][11:13]) * 60 + int(row[0][14:16]) for row in candles]
    assert {later - earlier for earlier, later in pairwise(minutes)} == {step_minutes}
    assert candles[0][0].endswith("+0530")
    for _, opened, high, low, closed, volume in candles:
        assert low <= min(opened, closed) <= max(opened, closed) <= high
        assert volume > 0


async def test_candles_keep_to_sessions_and_days(kite: KiteClient, sim: RunningSimulator) -> None:
    sim.exchange.hours = Hours.SESSIONS
    query = {"from": "2026-11-12", "to": "2026-11-18 23:59:59", "oi": "1"}
    stand_still_at_noon(sim)
    days = (await kite.get("/instruments/historical/2953217/day", **query)).data["candles"]
    assert [row[0][:10] for row in days] == ["2026-11-12", "2026-11-13", "2026-11-16", "2026-11-17", "2026-11-18"]
    assert {len(row) for row in days} == {7}
    minutes = (await kite.get("/instruments/historical/2953217/30minute", **query)).data["candles"]
    assert (minutes[0][0][11:16], minutes[-1][0][11:16], len(minutes)) == ("09:15", "15:15", 5 * 13)


async def test_candles_of_now_are_made_of_the_ticks_that_happened(kite: KiteClient, sim: RunningSimulator) -> None:
    now = sim.exchange.clock() // 60_000_000_000 * 60_000_000_000
    sim.exchange.clock = lambda: now
    for price in (3610, 3650, 3590, 3600):
        sim.set_price("TCS", price)
    await kite.placed(quantity="9")
    wanted = india_text(now)
    (candle,) = (await kite.get("/instruments/historical/2953217/minute", **{"from": wanted, "to": wanted})).data["candles"]
    assert candle[1:] == [3610, 3650, 3590, 3600, 9]


async def test_candles_with_bad_arguments_are_refused(kite: KiteClient) -> None:
    good = {"from": "2026-11-20", "to": "2026-11-20"}
    for path, query in (
        ("2953217/2minute", good), ("1/minute", good), ("x/minute", good), ("2953217/minute", {"from": "2026-11-20"}),
        ("2953217/minute", {"from": "soon", "to": "later"}), ("2953217/minute", {"from": "2026-11-21", "to": "2026-11-20"}),
    ):  # fmt: skip
        assert (await kite.get(f"/instruments/historical/{path}", **query)).error == (400, "InputException")
