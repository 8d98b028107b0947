"""`python -m api.document`: writes packages/api/openapi.json, and the tables of errors and of roles into docs/api.md."""

from pathlib import Path

from api import contract
from api.errors import MEANINGS
from api.roles import RULES, Rule
from storage.models import Role

GUIDE = Path(__file__).parents[1] / "docs" / "api.md"


def error_table() -> str:
    """Every code with its status and meaning, by status."""
    rows = [f"| {meaning.status} | `{code.value}` | {meaning.text} |" for code, meaning in MEANINGS.items()]
    rows.sort(key=lambda row: row.split("|")[1])
    return "\n".join(["| Status | `error` | Meaning |", "|---|---|---|", *rows])


def role_table() -> str:
    """Every route with the roles that may call it and the scope an API key needs, in the order of `api/roles.py`."""
    rows = [f"| `{route}` | {_roles(rule)} | {_scope(rule)} |" for route, rule in RULES.items()]
    return "\n".join(["| Route | Roles | Scope of an API key |", "|---|---|---|", *rows])


def _roles(rule: Rule) -> str:
    return "everybody, without a token" if rule.is_public else ", ".join(role.value for role in Role if role in rule.roles)


def _scope(rule: Rule) -> str:
    if rule.is_public:
        return ""
    return f"`{rule.scope.value}`" if rule.scope else "none: access token only"


TABLES = {"errors": error_table, "roles": role_table}


def with_tables(guide: str) -> str:
    """The guide with today's tables. Raises ValueError when it has no place for one."""
    for name, table in TABLES.items():
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        if begin not in guide or end not in guide:
            raise ValueError(f"{GUIDE.name} has no {begin} ... {end}")
        before, _, rest = guide.partition(begin)
        guide = f"{before}{begin}\n{table()}\n{end}{rest.partition(end)[2]}"
    return guide


if __name__ == "__main__":
    contract.write()
    GUIDE.write_text(with_tables(GUIDE.read_text(encoding="utf-8")), encoding="utf-8")
