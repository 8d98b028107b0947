"""The monkey's timetable is decided by its seed, and holds every kind of disturbance the exchange knows."""

from simulator.faults import ENDPOINTS, KINDS, FaultBook
from tests.chaos.monkey import LONGEST_PAUSE_SECONDS, Deed, Disturbance, fault_templates, timetable

PARTS = ["api", "listener", "postgres", "redis", "temporal", "worker-1", "worker-2"]
ACCOUNTS = ["sim-asha", "sim-ravi"]


def _half_an_hour(seed: int) -> tuple[Disturbance, ...]:
    return timetable(seed, seconds=1800, parts=PARTS, accounts=ACCOUNTS, latest_ms=3000)


def test_the_same_seed_gives_the_same_timetable_and_another_one_another() -> None:
    assert _half_an_hour(7) == _half_an_hour(7)
    assert _half_an_hour(7) != _half_an_hour(8)


def test_half_an_hour_kills_and_pauses_every_part_and_injects_every_fault() -> None:
    disturbances = _half_an_hour(1)
    for deed in (Deed.KILL, Deed.PAUSE):
        assert {each.target for each in disturbances if each.deed is deed} == set(PARTS)
    assert {each.target for each in disturbances if each.deed is Deed.FAULT} == set(KINDS)


def test_disturbances_come_in_order_and_within_the_time() -> None:
    moments = [each.at for each in _half_an_hour(3)]
    assert moments == sorted(moments)
    assert 0 < moments[0] < moments[-1] < 1800


def test_pauses_are_short_and_no_fault_lasts_for_ever() -> None:
    for each in _half_an_hour(5):
        if each.deed is Deed.PAUSE:
            assert 0 < each.settings["seconds"] <= LONGEST_PAUSE_SECONDS  # type: ignore[operator]
        if each.deed is Deed.FAULT and each.target != "cut":
            assert each.settings.get("count") or each.settings.get("seconds")


def test_the_exchange_takes_every_fault_of_the_timetable() -> None:
    book = FaultBook()
    for each in _half_an_hour(2):
        if each.deed is Deed.FAULT:
            book.add(each.target, **each.settings)


def test_every_kind_of_fault_the_exchange_knows_has_a_template() -> None:
    templates = fault_templates(latest_ms=3000)
    assert {template.kind for template in templates} == set(KINDS)
    assert {endpoint for template in templates for endpoint in template.endpoints} <= ENDPOINTS
