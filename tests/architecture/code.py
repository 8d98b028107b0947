"""The project's own code as syntax trees. Rules that a grep would get wrong are asked of these."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "activities",
    "api",
    "brokers",
    "cache",
    "execution",
    "listener",
    "local",
    "playground",
    "runtime",
    "simulator",
    "storage",
    "trading",
    "workflows",
)


@dataclass(frozen=True)
class Module:
    """`path` is relative to the repository, such as `trading/bands.py`."""

    path: str
    tree: ast.Module

    @property
    def name(self) -> str:
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    def at(self, node: ast.AST) -> str:
        return f"{self.path}:{getattr(node, 'lineno', 0)}"

    def imports(self) -> Iterator[tuple[str, ast.AST]]:
        """Modules it imports, wherever in the file, with the statement that does it."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((alias.name, node) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.at(node)}: imports are absolute here"
                assert node.module is not None
                yield node.module, node


@cache
def modules_of(*folders: str) -> tuple[Module, ...]:
    """Every module of those packages, and single modules at the top such as `worker.py`. Fails when there is none."""
    found = []
    for folder in folders:
        paths = [ROOT / folder] if folder.endswith(".py") else sorted((ROOT / folder).rglob("*.py"))
        assert paths, f"no code in {folder}"
        found += [Module(str(path.relative_to(ROOT)), parse(path.read_text(encoding="utf-8"))) for path in paths]
    return tuple(found)


def parse(source: str) -> ast.Module:
    return ast.parse(source)


def enclosing_function(tree: ast.Module, node: ast.AST) -> str:
    """Name of the innermost function around the node; empty at module level."""
    best = ""
    for candidate in ast.walk(tree):
        if isinstance(candidate, ast.FunctionDef | ast.AsyncFunctionDef) and any(inner is node for inner in ast.walk(candidate)):
            best = candidate.name
    return best
