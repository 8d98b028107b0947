import pytest

from api.document import GUIDE, with_tables
from api.errors import MEANINGS, ErrorCode
from trading.plan import PlanProblemCode


def test_the_guide_lists_every_error_as_it_is_today() -> None:
    guide = GUIDE.read_text(encoding="utf-8")
    assert guide == with_tables(guide), "run: python -m api.document"


def test_every_code_has_a_meaning_and_every_meaning_a_code() -> None:
    assert set(MEANINGS) == set(ErrorCode)


def test_every_problem_of_a_plan_has_a_code_of_the_api() -> None:
    assert {problem.value for problem in PlanProblemCode} <= {code.value for code in ErrorCode}


def test_a_guide_without_a_place_for_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="errors: begin"):
        with_tables("# The API")
