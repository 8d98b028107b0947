"""`python -m api.document`: writes the table of error codes into docs/api.md, between its markers."""

import re
from pathlib import Path

from api.errors import MEANINGS

GUIDE = Path(__file__).parents[1] / "docs" / "api.md"
BEGIN = "<!-- errors: begin -->"
END = "<!-- errors: end -->"


def error_table() -> str:
    """Every code with its status and meaning, by status."""
    rows = [f"| {meaning.status} | `{code.value}` | {meaning.text} |" for code, meaning in MEANINGS.items()]
    rows.sort(key=lambda row: row.split("|")[1])
    return "\n".join(["| Status | `error` | Meaning |", "|---|---|---|", *rows])


def with_table(guide: str) -> str:
    """The guide with today's table. Raises ValueError when it has no place for one."""
    if BEGIN not in guide or END not in guide:
        raise ValueError(f"{GUIDE.name} has no {BEGIN} ... {END}")
    table = f"{BEGIN}\n{error_table()}\n{END}"
    return re.sub(f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: table, guide, flags=re.DOTALL)


if __name__ == "__main__":
    GUIDE.write_text(with_table(GUIDE.read_text(encoding="utf-8")), encoding="utf-8")
