"""The live report of a kill switch: nothing is called flat that is not proven flat."""

from dataclasses import replace

import pytest

from trading.runs import EndReason
from trading.standing import Position, Standing, StandingFacts, stand

SOLD = StandingFacts("TCS", 10, 0, EndReason.KILL_SWITCH, is_open=False, is_selling=True, has_working_order=False)
HOLDS = replace(SOLD, open_quantity=10, end_reason=None, is_open=True)

CASES = [
    ("sold, the position read and explained", replace(SOLD, position=Position(5, 5)), Standing.FLAT_VERIFIED),
    ("sold, the position not read", SOLD, Standing.FLAT),
    ("sold, the broker shows more", replace(SOLD, position=Position(10, 0)), Standing.DIFFERS),
    ("sold, the broker shows less", replace(SOLD, position=Position(-10, 0)), Standing.DIFFERS),
    ("sold, but an order is in doubt", replace(SOLD, has_working_order=True, position=Position(0, 0)), Standing.PENDING),
    ("being sold", HOLDS, Standing.PENDING),
    ("held under a switch that sells nothing", replace(HOLDS, is_selling=False), Standing.HELD),
    ("held, and an exit was refused", replace(HOLDS, person_needed_for="refused"), Standing.NEEDS_PERSON),
    ("ended with shares", replace(HOLDS, is_open=False, end_reason=EndReason.HANDED_OVER), Standing.NEEDS_PERSON),
    ("waits for its buy time", StandingFacts("TCS", 0, 0, None, True, False, False), Standing.WAITING),
    ("asked to end before it bought", StandingFacts("TCS", 0, 0, None, True, True, False), Standing.NOTHING_BOUGHT),
    ("ended without buying", StandingFacts("TCS", 0, 0, EndReason.KILL_SWITCH, False, False, False), Standing.NOTHING_BOUGHT),
    ("its entry is on the wire", StandingFacts("TCS", 0, 0, None, True, True, True), Standing.PENDING),
]


@pytest.mark.parametrize(("what", "facts", "standing"), CASES, ids=[case[0] for case in CASES])
def test_a_run_stands(what: str, facts: StandingFacts, standing: Standing) -> None:
    found, words = stand(facts)
    assert found is standing
    assert words
