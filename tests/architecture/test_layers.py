"""The contracts in pyproject.toml hold, and they speak of everything there is."""

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.code import PACKAGES, ROOT, modules_of

CONTRACTS: list[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
LINT = str(Path(sys.executable).parent / "lint-imports")


def layers() -> list[str]:
    """Names in the contract of layers, from the top down."""
    contract = next(contract for contract in CONTRACTS if contract["type"] == "layers")
    return [name.strip() for layer in contract["layers"] for name in layer.replace("|", ":").split(":")]


def test_all_contracts_hold() -> None:
    done = subprocess.run([LINT, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(CONTRACTS)} kept, 0 broken" in done.stdout


def test_every_package_has_its_place() -> None:
    there = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "bench"}
    assert there == set(PACKAGES)
    assert {name.split(".")[0] for name in layers()} | {"simulator"} == set(PACKAGES)


def test_every_module_of_activities_is_a_signature_a_message_or_a_body() -> None:
    """A body nobody listed would be outside the layers: the linter does not miss what it was not told of."""
    modules = {module.name for module in modules_of("activities")} - {"activities"}
    assert modules == {name for name in layers() if name.startswith("activities.")}


def test_bodies_and_workflows_are_kept_apart_for_every_body() -> None:
    bodies = {name for name in layers() if name.startswith("activities.")} - {"activities.signatures", "activities.messages"}
    by_name = {contract["name"]: contract for contract in CONTRACTS}
    assert bodies <= set(by_name["Workflows reach nothing that does I/O, not even indirectly"]["forbidden_modules"])
    assert bodies == set(by_name["Activity bodies do not know workflows"]["source_modules"])


def test_activities_package_is_empty() -> None:
    """One import there would drag every body into the workflows, and the linter would not notice."""
    assert (ROOT / "activities" / "__init__.py").read_bytes() == b""


@pytest.mark.parametrize("package", [name for name in PACKAGES if name != "simulator"])
def test_packages_of_the_production_code_do_nothing_when_imported(package: str) -> None:
    """Only the models' package gathers its modules: that is what makes the metadata complete."""
    for module in modules_of(package):
        if module.path.endswith("__init__.py") and module.name != "storage.models":
            assert [imported for imported, _ in module.imports()] == [], module.path


def test_nobody_imports_the_workers_entry() -> None:
    importers = [module.at(node) for module in modules_of(*PACKAGES) for name, node in module.imports() if name == "worker"]
    assert importers == []


def test_nobody_imports_the_tests() -> None:
    found = [
        module.at(node)
        for module in modules_of(*PACKAGES, "worker.py")
        for name, node in module.imports()
        if name.split(".")[0] in ("tests", "pytest", "hypothesis")
    ]
    assert found == []
