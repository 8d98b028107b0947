"""The domain knows the standard library and itself, and money in it is never a float."""

import ast
import sys

import pytest

from tests.architecture.code import Module, enclosing_function, modules_of, parse

# A float may carry monotonic seconds or a measurement, never money. Their names say so; these are the others, with their reason.
NAMED = {
    ("trading/ports/clock.py", "monotonic"),  # seconds that never jump, as every operating system counts them
    ("trading/ports/metrics.py", "value"),  # what is measured is for graphs
}
SUFFIXES = ("_seconds", "_at")
INPUT_AND_OUTPUT = frozenset(
    {"asyncio", "http", "io", "os", "pathlib", "random", "socket", "sqlite3", "subprocess", "threading", "time"}
)


def floats_without_permission(module: Module) -> list[str]:
    """Annotations, literals and conversions that bring a float in."""
    return [module.at(node) for node in ast.walk(module.tree) if _is_float(node) and not _is_permitted(module, node)]


def _is_float(node: ast.AST) -> bool:
    is_name = isinstance(node, ast.Name) and node.id == "float"
    return is_name or (isinstance(node, ast.Constant) and isinstance(node.value, float))


def _is_permitted(module: Module, node: ast.AST) -> bool:
    named = _annotated_name(module.tree, node)
    return named is not None and (named.endswith(SUFFIXES) or (module.path, named) in NAMED)


def _annotated_name(tree: ast.Module, node: ast.AST) -> str | None:
    """The argument, attribute or function whose annotation this node is; None for anything else."""
    for owner in ast.walk(tree):
        if isinstance(owner, ast.arg) and _holds(owner.annotation, node):
            return owner.arg
        if isinstance(owner, ast.AnnAssign) and _holds(owner.annotation, node) and isinstance(owner.target, ast.Name):
            return owner.target.id
        if isinstance(owner, ast.FunctionDef | ast.AsyncFunctionDef) and _holds(owner.returns, node):
            return owner.name
    return None


def _holds(annotation: ast.expr | None, node: ast.AST) -> bool:
    return annotation is not None and any(part is node for part in ast.walk(annotation))


def foreign_imports(module: Module) -> list[str]:
    allowed = sys.stdlib_module_names | {"trading"}
    tops = [(name.split(".")[0], node) for name, node in module.imports()]
    return [module.at(node) for top, node in tops if top not in allowed or top in INPUT_AND_OUTPUT]


@pytest.mark.parametrize("module", modules_of("trading"), ids=lambda module: module.path)
def test_the_domain_needs_the_standard_library_only_and_none_of_its_input_and_output(module: Module) -> None:
    assert foreign_imports(module) == []


@pytest.mark.parametrize("module", modules_of("trading"), ids=lambda module: module.path)
def test_money_is_never_a_float(module: Module) -> None:
    assert floats_without_permission(module) == []


def reads_the_clock(module: Module) -> list[str]:
    clocks = {"now", "utcnow", "today", "time", "monotonic", "perf_counter"}
    bases = {"datetime", "date", "time"}
    return [
        module.at(node)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in clocks
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in bases
    ]


@pytest.mark.parametrize("module", modules_of("trading"), ids=lambda module: module.path)
def test_the_domain_is_told_the_time_and_never_looks(module: Module) -> None:
    assert reads_the_clock(module) == []


@pytest.mark.parametrize(
    "source",
    [
        "def limit(price: float) -> None: ...",
        "def limit(price: Decimal) -> float: ...",
        "def limit(price: float | None) -> None: ...",
        "price: float = 0",
        "width = price * 0.5",
        "average = float(value)",
        "def limit(prices: list[float]) -> None: ...",
        "def wait(timeout_seconds: float = 0.5) -> None: ...",
    ],
)
def test_the_rule_about_floats_finds_them(source: str) -> None:
    assert floats_without_permission(Module("trading/new.py", parse(source))) != []


@pytest.mark.parametrize(
    "source", ["def wait(timeout_seconds: float | None) -> None: ...", "requested_at: float", "share = Decimal('0.5')"]
)
def test_the_rule_about_floats_leaves_seconds_and_decimals_alone(source: str) -> None:
    assert floats_without_permission(Module("trading/new.py", parse(source))) == []


@pytest.mark.parametrize("source", ["import sqlalchemy", "from execution import claim", "def f() -> None:\n    import asyncio"])
def test_the_rule_about_imports_finds_them(source: str) -> None:
    assert foreign_imports(Module("trading/new.py", parse(source))) != []


@pytest.mark.parametrize("source", ["now = datetime.now(UTC)", "today = date.today()", "def f():\n    return time.monotonic()"])
def test_the_rule_about_clocks_finds_them(source: str) -> None:
    assert reads_the_clock(Module("trading/new.py", parse(source))) != []


def test_the_named_exceptions_are_still_needed() -> None:
    used = {
        (module.path, _annotated_name(module.tree, node))
        for module in modules_of("trading")
        for node in ast.walk(module.tree)
        if _is_float(node)
    }
    assert used >= NAMED


def test_the_search_for_functions_knows_where_it_is() -> None:
    tree = parse("def outer():\n    def inner():\n        return 1.5")
    literal = next(node for node in ast.walk(tree) if isinstance(node, ast.Constant))
    assert enclosing_function(tree, literal) == "inner"
