"""DhanHQ's limits. Reads of orders do not count as order calls; going over answers 429."""

from datetime import date

from brokers.limits import BrokerLimits, Rate

LIMITS = BrokerLimits(
    order_writes=(Rate(8, 1), Rate(200, 60), Rate(900, 3_600), Rate(6_000, 86_400)),
    documented_order_writes=(Rate(10, 1), Rate(250, 60), Rate(1_000, 3_600), Rate(7_000, 86_400)),
    reads=(Rate(15, 1),),
    quotes=(Rate(1, 1),),
    quote_keys=1_000,
    full_quote_keys=1_000,
    modifications_per_order=20,
    documented_modifications_per_order=25,
    instruments_per_feed=5_000,
    feeds_per_key=5,
    settle_seconds=3.0,
    source="DhanHQ v2 documentation, Introduction (rate limits), Market quote, Live market feed; release notes of 21 March 2026",
    checked_on=date(2026, 9, 1),
    resting_stops=True,
    searches_tags=True,
)
