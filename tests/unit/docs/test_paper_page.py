"""docs/paper.md names cases that exist, and tests that exist for them."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "paper.md").read_text(encoding="utf-8")


def texts(pattern: str) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(ROOT.glob(pattern)))


def test_every_case_and_every_test_of_the_table_exists() -> None:
    lines = re.findall(r"^\| (C[C0-9, ]+) \| `(test_\w+)`", PAGE, re.MULTILINE)
    assert len(lines) > 20, "the table is not found any more"
    cases = set(re.findall(r"def test_(c\d\d)_", texts("tests/contract/suite_*.py")))
    assert {case.lower() for listed, _ in lines for case in listed.split(", ")} <= cases
    tests = set(re.findall(r"def (test_\w+)\(", texts("tests/integration/paper/test_*.py")))
    assert {name for _, name in lines} <= tests
