"""Who has a desk finds an open connection to its broker, and a thousand accounts of a broker ask for it once."""

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from execution.warmth import KEPT_WARM, KEPT_WARM_AT_MOST, warm
from trading.accounts import BrokerName, Environment
from trading.ports.broker import Broker


@dataclass
class Way:
    """A broker that counts what it is asked to open."""

    name: BrokerName
    environment: Environment = Environment.SIMULATED
    asked: list[int] = field(default_factory=list)

    async def warm(self, connections: int) -> int:
        self.asked.append(connections)
        return connections


@dataclass
class AtDesk:
    way: Way | None

    @property
    def broker(self) -> Broker | None:
        return cast("Any", self.way)


async def test_each_broker_and_environment_is_warmed_once_by_one_of_its_accounts() -> None:
    zerodha = [Way(BrokerName.ZERODHA) for _ in range(3)]
    others = [Way(BrokerName.DHAN), Way(BrokerName.ZERODHA, Environment.LIVE)]
    await warm([AtDesk(None), *(AtDesk(way) for way in (*zerodha, *others))])
    assert [way.asked for way in zerodha] == [[KEPT_WARM], [], []]
    assert [way.asked for way in others] == [[KEPT_WARM], [KEPT_WARM]]


async def test_where_nobody_is_logged_in_nothing_is_opened() -> None:
    await warm([AtDesk(None)])


@pytest.mark.parametrize(("accounts", "kept"), [(1, KEPT_WARM), (50, 10), (1_000, KEPT_WARM_AT_MOST), (5_000, KEPT_WARM_AT_MOST)])
async def test_a_herd_finds_more_of_them_and_no_broker_is_flooded(accounts: int, kept: int) -> None:
    crowd = [Way(BrokerName.ZERODHA) for _ in range(accounts)]
    await warm([AtDesk(way) for way in crowd])
    assert [way.asked for way in crowd if way.asked] == [[kept]]
