"""Fyers' limits. All calls of an app and user count together; a minute over the limit, more than three times, blocks the day."""

from datetime import date

from brokers.limits import BrokerLimits, Rate

# All calls together.
CALLS_PER_MINUTE = 200
BREACHES_BEFORE_THE_DAY_IS_BLOCKED = 3

LIMITS = BrokerLimits(
    # Since April 2026 one report gives 10,000 order calls a day; the documentation gives 100,000 calls of all kinds.
    order_writes=(Rate(8, 1), Rate(100, 60), Rate(9_000, 86_400)),
    documented_order_writes=(Rate(10, 1), Rate(200, 60), Rate(100_000, 86_400)),
    reads=(Rate(8, 1), Rate(80, 60)),
    quotes=(Rate(8, 1), Rate(60, 60)),
    quote_keys=50,
    # The circuit limits are in the market depth only, of one symbol a call.
    full_quote_keys=1,
    modifications_per_order=20,
    # Not documented by Fyers; what the exchange's members are known to allow elsewhere.
    documented_modifications_per_order=25,
    instruments_per_feed=5_000,
    feeds_per_key=1,
    # Sent on without an acknowledgement happens here by design (code 201): the book gets a little longer.
    settle_seconds=5.0,
    source="Fyers API v3 documentation, Rate limits, Order placement, Web socket; community reports on daily order calls",
    checked_on=date(2026, 7, 9),
    resting_stops=True,
    searches_tags=True,
)
