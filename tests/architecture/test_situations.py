"""docs/situations.md promises tests; every one it names exists, and every situation that is not marked as open names one."""

import ast
import re
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parents[1]
TABLE = (TESTS.parent / "docs" / "situations.md").read_text()
ROWS = [line for line in TABLE.splitlines() if line.startswith("| ") and not line.startswith("| Situation")]
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")


@cache
def names_in(path: str) -> frozenset[str]:
    file = TESTS / path
    if not file.exists():
        return frozenset()
    found = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return frozenset(node.name for node in found)


def test_every_test_the_table_names_exists() -> None:
    named = NAMED.findall(TABLE)
    assert len(named) > 100, "the table is not understood any more"
    assert [f"{path}::{name}" for path, name in named if name not in names_in(path)] == []


def test_every_situation_is_proven_or_marked_as_open() -> None:
    assert [row for row in ROWS if not NAMED.search(row) and "| Open: " not in row] == []


def test_a_name_nobody_has_would_be_noticed() -> None:
    assert "test_of_nothing" not in names_in("integration/trading/test_doubt.py")
    assert names_in("no/such_file.py") == frozenset()
