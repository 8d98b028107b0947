"""The day's limits at a broker that answers for a few instruments at a time."""

from collections.abc import Sequence
from decimal import Decimal
from types import SimpleNamespace

from execution.day_limits import READ_AGAIN_AFTER, RETRY_AFTER, DayLimits
from tests.unit.brokers.clock import HeldClock
from trading.accounts import Environment
from trading.instruments import Instrument, InstrumentId, PriceLimits, Segment

SHARES = [InstrumentId("NSE", f"S{number:02d}") for number in range(30)]


class FewAtATime:
    """Answers for the first three it is asked for."""

    environment = Environment.SIMULATED

    def __init__(self) -> None:
        self.answered: list[InstrumentId] = []

    async def price_limits(self, instruments: Sequence[InstrumentId]) -> dict[InstrumentId, PriceLimits]:
        self.answered += instruments[:3]
        return {instrument: PriceLimits(Decimal(90), Decimal(110)) for instrument in instruments[:3]}


def listed(instrument: InstrumentId) -> Instrument:
    return Instrument(instrument, instrument.symbol, Segment.CASH, Decimal("0.05"))


async def test_a_broker_that_answers_for_a_few_at_a_time_answers_for_all_in_turn() -> None:
    clock, broker = HeldClock(), FewAtATime()
    limits = DayLimits(SimpleNamespace(find=listed), clock)
    # So many that the first are due again before the last have had their turn.
    rounds = len(SHARES) // 3
    assert rounds * RETRY_AFTER > READ_AGAIN_AFTER * 0.8
    for _ in range(rounds):
        await limits.keep_fresh(SHARES, broker)  # type: ignore[arg-type]
        clock.seconds += RETRY_AFTER + 2
    assert set(broker.answered) == set(SHARES)
    known = [limits.find(share, Environment.SIMULATED) for share in SHARES]
    assert all(instrument is not None and instrument.upper_circuit == 110 for instrument in known)
