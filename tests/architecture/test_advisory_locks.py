"""Advisory locks share one space of numbers in a database: two purposes with one number would wait for each other for ever."""

import ast
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
# All of our numbers are taken from here, so that they can be found.
OURS = range(7_203_114_000, 7_203_115_000)
PACKAGES = ("storage", "listener", "runtime", "execution", "api", "activities", "cache", "local")


def test_every_advisory_lock_has_a_number_of_its_own() -> None:
    numbers = Counter(
        node.value
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, int) and node.value in OURS
    )
    assert len(numbers) >= 7, "the locks are not found any more"
    assert [number for number, uses in numbers.items() if uses > 1] == []
