"""The numbered cases every broker adapter passes against its dialect of the simulator.

A broker's test module subclasses `BrokerContract` and provides the fixture `world` (tests/contract/world.py). Cases are added at
the end of their part; a number is never used again for something else.
"""

from tests.contract.suite_changing import ChangingContract
from tests.contract.suite_login import LoginContract
from tests.contract.suite_market_data import MarketDataContract
from tests.contract.suite_placing import PlacingContract
from tests.contract.suite_reading import ReadingContract


class BrokerContract(LoginContract, PlacingContract, ChangingContract, ReadingContract, MarketDataContract):
    """C01 to C09 login, C10 to C29 placing, C30 to C49 changing, C50 to C59 reading, C60 to C80 market data and updates."""
