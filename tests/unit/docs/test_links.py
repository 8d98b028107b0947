"""What the documentation points at exists: files, headings, functions, make targets, modules, a page for every alarm."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from execution.alarm_kinds import KINDS

ROOT = Path(__file__).parents[3]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "simulator" / "README.md", *(ROOT / "docs").rglob("*.md")])
ALARMING = ("execution", "api", "listener", "activities", "runtime")

_LINK = re.compile(r"!?\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_PATH = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.(?:py|md|yaml|yml|sh|mod|png|csv|html))`")

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def links_of(page: Path) -> Iterator[tuple[str, Path, str]]:
    """Text, file and anchor of every relative link."""
    for text, target in _LINK.findall(_FENCE.sub("", text_of(page))):
        if "://" not in target and not target.startswith("mailto:"):
            path, _, anchor = target.partition("#")
            yield text, (page.parent / path).resolve() if path else page, anchor


def slugs_of(page: Path) -> set[str]:
    """Headings as GitHub makes anchors of them."""
    headings = re.findall(r"^#+ +(.*)$", _FENCE.sub("", text_of(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def names_in(path: Path) -> set[str]:
    """Functions, classes, their members and constants of a Python file."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def test_the_documentation_is_found() -> None:
    assert len(PAGES) > 30


@every_page
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    assert [str(path) for _, path, _ in links_of(page) if not path.exists()] == []


@every_page
def test_every_anchor_is_a_heading(page: Path) -> None:
    missing = [f"{path.name}#{anchor}" for _, path, anchor in links_of(page) if anchor and anchor not in slugs_of(path)]
    assert missing == []


@every_page
def test_every_function_that_is_linked_is_in_its_file(page: Path) -> None:
    named = [
        (match[1], path)
        for text, path, _ in links_of(page)
        if path.suffix == ".py" and (match := re.fullmatch(r"`([A-Za-z_]\w*)`", text))
    ]
    assert [f"{name} in {path.name}" for name, path in named if name not in names_in(path)] == []


@every_page
def test_every_path_that_is_named_exists(page: Path) -> None:
    named = _PATH.findall(_FENCE.sub("", text_of(page)))
    assert [path for path in named if not (ROOT / path).exists() and not (page.parent / path).exists()] == []


@every_page
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    inline = re.findall(r"`make ([a-z]+)", text_of(page))
    fenced = [name for block in _FENCE.findall(text_of(page)) for name in re.findall(r"^make ([a-z]+)", block, re.MULTILINE)]
    assert set(inline + fenced) - targets == set()


@every_page
def test_every_module_that_is_named_can_be_run(page: Path) -> None:
    ours = {path.name for path in ROOT.iterdir() if path.is_dir()}
    for name in re.findall(r"python -m ([\w.]+)", text_of(page)):
        module = name.rstrip(".")
        if module.partition(".")[0] in ours:
            path = ROOT / module.replace(".", "/")
            assert (path / "__main__.py").exists() or path.with_suffix(".py").exists(), module


@every_page
def test_no_page_knows_the_folders_of_one_machine(page: Path) -> None:
    assert re.findall(r"(?:^|[\s`(\"'=])/(?:home|root|tmp|work|srv|Users)/\S*", text_of(page), re.MULTILINE) == []


def raised_in_code() -> set[str]:
    """The second argument of every alarm that is made, where it is a word."""
    kinds: set[str] = set()
    for path in sorted(path for package in ALARMING for path in (ROOT / package).rglob("*.py")):
        for call in (node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)):
            name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            given = [keyword.value for keyword in call.keywords if keyword.arg == "kind"] or call.args[1:2]
            if name in ("Alarm", "_alarm"):
                kinds |= {node.value for node in given if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return kinds


def words_in_code() -> set[str]:
    """Every text constant outside the table of kinds."""
    paths = (path for package in ALARMING for path in (ROOT / package).rglob("*.py") if path.name != "alarm_kinds.py")
    trees = (ast.walk(ast.parse(path.read_text(encoding="utf-8"))) for path in sorted(paths))
    return {node.value for tree in trees for node in tree if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_every_alarm_has_its_page_and_every_page_its_alarm() -> None:
    pages = {path.stem for path in (ROOT / "docs" / "runbooks").glob("*.md")} - {"index"}
    assert pages == set(KINDS)
    assert raised_in_code() - set(KINDS) == set(), "raised, and not in the table of kinds"
    assert set(KINDS) - words_in_code() == set(), "in the table of kinds, and never raised"


def test_every_runbook_and_decision_is_in_its_index() -> None:
    for folder in ("runbooks", "adr"):
        index = text_of(ROOT / "docs" / folder / "index.md")
        pages = {path.name for path in (ROOT / "docs" / folder).glob("*.md")} - {"index.md"}
        assert {name for name in pages if f"({name})" not in index} == set()
