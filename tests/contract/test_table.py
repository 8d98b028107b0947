"""docs/brokers.md says of every broker which cases of the suite it passes: it cannot say more than the suite holds."""

import pytest

from brokers.registry import BROKERS
from tests.contract.suite import BrokerContract
from tests.contract.table import PAGE, cases, contract_of, page, says
from trading.accounts import BrokerName


def test_the_table_is_what_the_suite_says_now() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `python -m tests.contract.table`"


def test_every_case_is_in_it_and_has_a_number_of_its_own() -> None:
    named = [name for name in vars(BrokerContract) | _inherited() if name.startswith("test_")]
    assert sorted(cases().values()) == sorted(named)


def _inherited() -> dict[str, object]:
    return {name: value for kind in BrokerContract.__mro__ for name, value in vars(kind).items()}


@pytest.mark.parametrize("broker", list(BROKERS), ids=lambda name: name.value)
def test_every_broker_that_is_offered_takes_the_whole_suite(broker: BrokerName) -> None:
    assert [number for number, name in cases().items() if says(broker, name) == "no"] == []


def test_a_case_of_a_brokers_own_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    async def own() -> None: ...

    monkeypatch.setattr(contract_of(BrokerName.ZERODHA), cases()["c10"], own)
    assert says(BrokerName.ZERODHA, cases()["c10"]) == "own"
    monkeypatch.setattr(contract_of(BrokerName.ZERODHA), cases()["c10"], pytest.mark.skip(own))
    assert says(BrokerName.ZERODHA, cases()["c10"]) == "no"
