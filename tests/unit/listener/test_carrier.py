"""Whose feed carries what paper accounts trade."""

from dataclasses import dataclass
from typing import cast

from listener.carrier import Carrier
from listener.feed import Feed
from trading.accounts import BrokerName


@dataclass
class AFeed:
    name: BrokerName
    is_healthy: bool = False


def carrier_of(*feeds: AFeed) -> Carrier:
    return Carrier([cast(Feed, feed) for feed in feeds])


def test_the_first_healthy_feed_carries_it_and_keeps_it_while_it_is_healthy() -> None:
    zerodha, dhan = AFeed(BrokerName.ZERODHA), AFeed(BrokerName.DHAN, is_healthy=True)
    carrier = carrier_of(zerodha, dhan)
    assert carrier.name() is BrokerName.DHAN
    zerodha.is_healthy = True
    assert carrier.name() is BrokerName.DHAN
    dhan.is_healthy = False
    assert carrier.name() is BrokerName.ZERODHA
    dhan.is_healthy = True
    assert carrier.name() is BrokerName.ZERODHA


def test_without_a_healthy_feed_it_waits_where_it_was() -> None:
    zerodha, dhan = AFeed(BrokerName.ZERODHA), AFeed(BrokerName.DHAN)
    carrier = carrier_of(zerodha, dhan)
    assert carrier.name() is BrokerName.ZERODHA
    dhan.is_healthy = True
    assert carrier.name() is BrokerName.DHAN
    dhan.is_healthy = False
    assert carrier.name() is BrokerName.DHAN


def test_a_listener_without_feeds_has_none() -> None:
    assert carrier_of().name() is None
