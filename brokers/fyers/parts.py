"""Fyers, as the registry lists it."""

from brokers.fyers.adapter import LiveFyersBroker, SimulatedFyersBroker
from brokers.fyers.instruments import FyersInstruments
from brokers.fyers.limits import LIMITS
from brokers.fyers.login import FyersLogin
from brokers.parts import BrokerParts

PARTS = BrokerParts(
    live=LiveFyersBroker,
    simulated=SimulatedFyersBroker,
    login=FyersLogin,
    master=FyersInstruments,
    limits=LIMITS,
    # Its postbacks are not signed in any documented way. Even as hints they would let a stranger have the book read until the
    # limit of calls blocks the account's day; the order socket tells the same.
    postbacks=None,
)
