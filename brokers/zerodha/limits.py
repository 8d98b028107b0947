"""Kite Connect's limits. Requests that its pre-checks refuse count as well; going over answers 429."""

from datetime import date

from brokers.limits import BrokerLimits, Rate

LIMITS = BrokerLimits(
    order_writes=(Rate(8, 1), Rate(200, 60), Rate(5_000, 86_400)),
    documented_order_writes=(Rate(10, 1), Rate(400, 60), Rate(5_000, 86_400)),
    reads=(Rate(10, 1),),
    quotes=(Rate(1, 1),),
    quote_keys=1_000,
    full_quote_keys=500,
    modifications_per_order=20,
    documented_modifications_per_order=25,
    instruments_per_feed=3_000,
    feeds_per_key=3,
    settle_seconds=3.0,
    source="Kite Connect v3 documentation, Orders, Exceptions; Kite forum 52882 (per account), 31294 (modifications)",
    checked_on=date(2026, 9, 1),
    resting_stops=True,
)
