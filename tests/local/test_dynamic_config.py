"""Temporal's dynamic configuration: known to the server, and every line says why it is there."""

import io
import subprocess
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from local.progress import Progress
from local.temporal_build import ServerAndUi
from local.temporal_programs import present_temporal

_FOLDER = Path(__file__).parents[2] / "infra" / "temporal"
SHARED, LOCAL = _FOLDER / "dynamic-config.yaml", _FOLDER / "dynamic-config-local.yaml"

each_file = pytest.mark.parametrize("path", [SHARED, LOCAL], ids=lambda path: path.stem)


@each_file
def test_the_server_knows_every_key_and_accepts_every_value(path: Path) -> None:
    programs = present_temporal(Progress(Console(file=io.StringIO())))
    # The command line tool cannot check a file; it refuses a wrong flag when it starts, which other tests make it do.
    if isinstance(programs, ServerAndUi):
        command = [str(programs.server), "validate-dynamic-config", str(path)]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        assert answer.stdout.split() == [str(path)], "neither errors nor warnings"
        assert answer.returncode == 0


@each_file
def test_every_key_gives_its_reason(path: Path) -> None:
    keys = [line for line in path.read_text().splitlines() if line and line[0].isalpha()]
    assert len(keys) == len(yaml.safe_load(path.read_text()))
    assert [line for line in keys if "# " not in line] == []


def test_production_cannot_skip_time() -> None:
    assert not any("TimeSkipping" in key for key in yaml.safe_load(SHARED.read_text()))


def test_no_key_is_decided_twice() -> None:
    assert not yaml.safe_load(SHARED.read_text()).keys() & yaml.safe_load(LOCAL.read_text()).keys()
