"""Which brokers an installation offers, and whether any of them takes real money."""

import pytest

from runtime.brokers import broker_urls
from runtime.settings import Settings
from trading.accounts import BrokerName

STAND_IN = "http://127.0.0.1:8090"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in BrokerName:
        monkeypatch.delenv(f"{name.value}_api_url".upper(), raising=False)


def settings(**given: str) -> Settings:
    return Settings(_env_file=None, **given)  # type: ignore[arg-type, call-arg]


def test_with_nothing_set_all_brokers_are_offered_at_their_own_servers() -> None:
    assert list(settings().broker_api_urls) == [name for name in BrokerName if name.has_servers]
    assert settings().any_broker_is_live
    assert settings().calendar_name == "XBOM"


@pytest.mark.parametrize("name", [name for name in BrokerName if name.has_servers])
def test_a_stand_in_for_one_broker_leaves_no_other_brokers_own_servers_open(name: BrokerName) -> None:
    rehearsal = settings(**{f"{name.value}_api_url": STAND_IN})
    assert rehearsal.broker_api_urls == {name: STAND_IN}
    assert not rehearsal.any_broker_is_live
    assert rehearsal.calendar_name == "always_open"


def test_an_empty_url_takes_a_broker_away_and_makes_no_rehearsal() -> None:
    without = settings(dhan_api_url="")
    assert list(without.broker_api_urls) == [name for name in BrokerName if name.has_servers and name is not BrokerName.DHAN]
    assert without.any_broker_is_live


def test_a_broker_named_beside_a_stand_in_is_offered_and_counts_as_live() -> None:
    both = settings(zerodha_api_url=STAND_IN, dhan_api_url="https://api.dhan.co/v2")
    assert list(both.broker_api_urls) == [BrokerName.ZERODHA, BrokerName.DHAN]
    assert both.any_broker_is_live


def test_the_urls_of_a_broker_are_the_settings_that_bear_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZERODHA_API_URL", STAND_IN)
    monkeypatch.setenv("ZERODHA_WS_URL", "ws://127.0.0.1:8090")
    urls = broker_urls(settings())
    assert list(urls) == [BrokerName.ZERODHA]
    assert (urls[BrokerName.ZERODHA].api_url, urls[BrokerName.ZERODHA].ws_url) == (STAND_IN, "ws://127.0.0.1:8090")
    assert urls[BrokerName.ZERODHA].login_url == "https://kite.zerodha.com/connect/login"
