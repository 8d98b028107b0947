"""docs/charges.md says what trading/charges.py reckons with."""

from decimal import Decimal
from pathlib import Path

import pytest

from trading.accounts import BrokerName
from trading.charges import CHECKED_ON, EXCHANGE_RATES, RATES, Brokerage

PAGE = (Path(__file__).parents[3] / "docs" / "charges.md").read_text(encoding="utf-8")


def percent(rate: Decimal) -> str:
    return f"{(rate * 100).normalize():f} %"


def words(brokerage: Brokerage) -> str:
    if not brokerage.rate:
        return "nothing"
    least = f", at least {brokerage.least}" if brokerage.least else ""
    return f"{percent(brokerage.rate)}, at most {brokerage.most}{least}"


@pytest.mark.parametrize("broker", [name for name in BrokerName if name.has_servers])
def test_each_brokers_line_is_its_data(broker: BrokerName) -> None:
    rates = RATES[broker]
    cells = (
        broker.value,
        words(rates.intraday),
        words(rates.delivery),
        f"{rates.depository:.2f}",
        rates.source,
        str(rates.speaks_of or "no date"),
        rates.unconfirmed,
    )
    assert f"| {' | '.join(cells)} |" in PAGE.splitlines()


@pytest.mark.parametrize("exchange", sorted(EXCHANGE_RATES))
def test_each_exchanges_line_is_its_data(exchange: str) -> None:
    found = EXCHANGE_RATES[exchange]
    assert f"| {exchange} | {percent(found.rate)} | {found.source} | {found.speaks_of} |" in PAGE.splitlines()


def test_the_page_says_when_the_figures_were_compared() -> None:
    assert f"on {CHECKED_ON}." in PAGE
