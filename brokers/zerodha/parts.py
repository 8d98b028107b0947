"""Zerodha, as the registry lists it."""

from brokers.parts import BrokerParts, Postbacks
from brokers.zerodha.adapter import LiveZerodhaBroker, SimulatedZerodhaBroker
from brokers.zerodha.instruments import ZerodhaInstruments
from brokers.zerodha.limits import LIMITS
from brokers.zerodha.login import ZerodhaLogin
from brokers.zerodha.postback import claimed_user_id, read_postback

PARTS = BrokerParts(
    live=LiveZerodhaBroker,
    simulated=SimulatedZerodhaBroker,
    login=ZerodhaLogin,
    master=ZerodhaInstruments,
    limits=LIMITS,
    postbacks=Postbacks(claimed_user_id, lambda body, secret: read_postback(body, api_secret=secret), are_signed=True),
)
