"""SmartAPI's limits, per client code. Going over them answers 403 in plain text, after which nothing is certain."""

from datetime import date

from brokers.limits import BrokerLimits, Rate

LIMITS = BrokerLimits(
    order_writes=(Rate(8, 1), Rate(400, 60), Rate(1_000, 3_600)),
    documented_order_writes=(Rate(9, 1), Rate(500, 60), Rate(1_000, 3_600)),
    reads=(Rate(1, 1),),
    quotes=(Rate(1, 1),),
    quote_keys=50,
    full_quote_keys=50,
    # No figure is documented; the exchange system's usual one is 25.
    modifications_per_order=20,
    documented_modifications_per_order=25,
    instruments_per_feed=1_000,
    feeds_per_key=3,
    settle_seconds=4.0,
    source="SmartAPI documentation, Rate Limits, WebSocket 2.0; SmartAPI forum 3396 (403 in plain text), 4391 (sockets)",
    checked_on=date(2026, 9, 1),
    resting_stops=True,
)
# The order book, the trade book and the positions may each be read once a second.
BOOK_GAP_SECONDS = 1.05
# The documentation says ten quotes a second on one page and one on another.
QUOTE_GAP_SECONDS = 1.05
