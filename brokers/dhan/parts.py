"""Dhan, as the registry lists it."""

from brokers.dhan.adapter import LiveDhanBroker, SimulatedDhanBroker
from brokers.dhan.instruments import DhanInstruments
from brokers.dhan.limits import LIMITS
from brokers.dhan.login import DhanLogin
from brokers.dhan.postback import claimed_user_id, read_postback
from brokers.parts import BrokerParts, Postbacks

PARTS = BrokerParts(
    live=LiveDhanBroker,
    simulated=SimulatedDhanBroker,
    login=DhanLogin,
    master=DhanInstruments,
    limits=LIMITS,
    # Dhan signs nothing: its postbacks make the book be read, and nothing in them is believed.
    postbacks=Postbacks(claimed_user_id, lambda body, _: read_postback(body), are_signed=False),
)
