"""`make setup`: the right Python, one environment at a time, and nothing of the user's removed."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from local.environment import SetupError, point_at

ROOT = Path(__file__).parents[2]


def run_setup(path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    shell = shutil.which("sh")
    assert shell is not None
    command = [shell, str(ROOT / "local" / "setup.sh")]
    return subprocess.run(command, env={"PATH": str(path), **environment}, capture_output=True, text=True, check=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A search path with nothing on it but what the script itself needs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    dirname = shutil.which("dirname")
    assert dirname is not None
    (folder / "dirname").symlink_to(dirname)
    return folder


def has_python(path: Path, name: str, *, new_enough: bool) -> None:
    """A stand-in that answers the version question, and tells when it is chosen."""
    program = path / name
    program.write_text(f'#!/bin/sh\nif [ "$1" = -c ]; then exit {0 if new_enough else 1}; fi\necho "chosen: {name} $1"\n')
    program.chmod(0o755)


def test_a_machine_without_python_gets_one_sentence(path: Path) -> None:
    result = run_setup(path)
    assert result.returncode == 1
    assert result.stderr == (
        "Python 3.11 or newer is needed and none was found on the path: install it, or name one with PYTHON=/path/to/python3.\n"
    )


def test_an_old_python_is_passed_over(path: Path) -> None:
    has_python(path, "python3", new_enough=False)
    assert run_setup(path).returncode == 1
    has_python(path, "python3.12", new_enough=True)
    assert run_setup(path).stdout == f"chosen: python3.12 {ROOT}/local/environment.py\n"


def test_the_users_choice_comes_first(path: Path) -> None:
    has_python(path, "python3.11", new_enough=True)
    has_python(path, "mine", new_enough=True)
    assert run_setup(path, PYTHON="mine").stdout.startswith("chosen: mine")


def test_the_link_moves_to_a_new_environment(tmp_path: Path) -> None:
    link = tmp_path / ".venv"
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        point_at(tmp_path / name, link=link)
        assert link.readlink() == tmp_path / name
    assert sorted(os.listdir(tmp_path)) == [".venv", "new", "old"]


def test_a_link_to_an_environment_that_is_gone_is_replaced(tmp_path: Path) -> None:
    link = tmp_path / ".venv"
    link.symlink_to(tmp_path / "gone")
    point_at(tmp_path / "new", link=link)
    assert link.readlink() == tmp_path / "new"


def test_a_folder_made_by_somebody_else_is_left_alone(tmp_path: Path) -> None:
    theirs = tmp_path / ".venv" / "bin"
    theirs.mkdir(parents=True)
    with pytest.raises(SetupError, match="somebody else made"):
        point_at(tmp_path / "new", link=tmp_path / ".venv")
    assert theirs.exists()


def test_the_locks_name_no_index_and_pin_every_file() -> None:
    for lock in ("requirements.lock", "requirements-uv.lock"):
        lines = [line for line in (ROOT / lock).read_text().splitlines() if line and not line.lstrip().startswith("#")]
        assert not [line for line in lines if "://" in line or "index-url" in line]
        pins = [line for line in lines if not line.startswith(" ")]
        assert all("==" in pin and pin.endswith("\\") for pin in pins), f"{lock}: a pin without hashes"
