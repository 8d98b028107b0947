"""The table of the contract suite by broker in docs/brokers.md: `python -m tests.contract.table` writes it, a test compares."""

import inspect
import re
from importlib import import_module
from pathlib import Path

from brokers.registry import BROKERS
from tests.contract.suite import BrokerContract
from trading.accounts import BrokerName

PAGE = Path(__file__).parents[2] / "docs" / "brokers.md"
BEGIN, END = "<!-- contract:begin -->", "<!-- contract:end -->"
_CASE = re.compile(r"test_(c\d\d)_(\w+)")


def contract_of(broker: BrokerName) -> type[BrokerContract]:
    """The class in `tests/contract/test_<broker>.py` that takes the suite. Raises ValueError when there is not exactly one."""
    module = import_module(f"tests.contract.test_{broker.value}")
    found = [kind for _, kind in inspect.getmembers(module, inspect.isclass) if issubclass(kind, BrokerContract)]
    (own,) = [kind for kind in found if kind is not BrokerContract]
    return own


def cases() -> dict[str, str]:
    """Number to method name, in the suite's order of numbers."""
    names = [name for name, _ in inspect.getmembers(BrokerContract, inspect.isfunction) if _CASE.fullmatch(name)]
    return {_match(name).group(1): name for name in sorted(names)}


def _match(name: str) -> "re.Match[str]":
    found = _CASE.fullmatch(name)
    if found is None:
        raise ValueError(name)
    return found


def says(broker: BrokerName, name: str) -> str:
    """Whether the broker passes the case as it stands, passes one of its own in its place, or does not take it."""
    kind = contract_of(broker)
    method = getattr(kind, name)
    marks = [mark.name for mark in (*getattr(kind, "pytestmark", ()), *getattr(method, "pytestmark", ()))]
    if {"skip", "skipif", "xfail"} & set(marks):
        return "no"
    return "yes" if method is getattr(BrokerContract, name) else "own"


def table() -> str:
    brokers = list(BROKERS)
    head = " | ".join(("", "Case", *(name.value for name in brokers)))
    rows = [_row(number, name, [says(broker, name) for broker in brokers]) for number, name in cases().items()]
    return "\n".join([f"|{head} |", "|---" * (len(brokers) + 2) + "|", *rows])


def _row(number: str, name: str, said: list[str]) -> str:
    return f"| {number.upper()} | {_match(name).group(2).replace('_', ' ')} | {' | '.join(said)} |"


def page() -> str:
    """The page with the table as it must be now."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
