"""Angel One, as the registry lists it."""

from brokers.angel_one.adapter import LiveAngelOneBroker, SimulatedAngelOneBroker
from brokers.angel_one.instruments import AngelOneInstruments
from brokers.angel_one.limits import LIMITS
from brokers.angel_one.login import AngelOneLogin
from brokers.angel_one.postback import claimed_user_id, read_postback
from brokers.parts import BrokerParts, Postbacks

PARTS = BrokerParts(
    live=LiveAngelOneBroker,
    simulated=SimulatedAngelOneBroker,
    login=AngelOneLogin,
    master=AngelOneInstruments,
    limits=LIMITS,
    postbacks=Postbacks(claimed_user_id, read_postback, are_signed=False),
)
