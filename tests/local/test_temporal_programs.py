"""Ways to Temporal: the quickest first, and one clear sentence for each that is closed."""

import io
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from local.errors import StackError
from local.progress import Progress
from local.temporal_build import ServerAndUi, required_go
from local.temporal_programs import DevServer, Fetch, find_temporal

# Just new enough.
GO = ".".join(map(str, required_go()))


class Machine:
    """A machine with an empty cache and only the programs a test puts on its path."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "bin"
        self.path.mkdir()
        self.cache = folder / "cache"
        self.said = io.StringIO()
        self.progress = Progress(Console(file=self.said, width=1000))

    def has(self, name: str, script: str) -> Path:
        program = self.path / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return program

    def has_go(self, version: str, *, build: str = 'touch "$output"') -> None:
        # `go env GOVERSION` and `go build ... -o FILE PACKAGE`, with one package named as it is compiled.
        self.has(
            "go",
            f'if [ "$1" = env ]; then echo go{version}; exit; fi\n'
            'while [ $# -gt 1 ]; do if [ "$1" = -o ]; then output=$2; fi; shift; done\n'
            f'mkdir -p "$(dirname "$output")"; echo go.temporal.io/some/package >&2; {build}',
        )


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(tmp_path)
    for tool in ("sh", "touch", "mkdir", "dirname"):
        (machine.path / tool).symlink_to(_on_this_machine(tool))
    monkeypatch.setenv("PATH", str(machine.path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(machine.cache))
    return machine


async def offline(folder: Path) -> None:
    raise RuntimeError("error sending request: dns error\nand much more that nobody wants to read")


def fetches(version_line: str) -> Fetch:
    async def fetch(folder: Path) -> None:
        program = folder / "temporal-sdk-python"
        program.write_text(f"#!/bin/sh\necho '{version_line}'\n")
        program.chmod(0o755)

    return fetch


async def must_not_be_asked(folder: Path) -> None:
    raise AssertionError("nothing had to be downloaded")


def test_a_new_enough_tool_on_the_path_is_taken(machine: Machine) -> None:
    tool = machine.has("temporal", "echo 'temporal version 1.9.1 (Server 1.32.0, UI 2.54.1)'")
    assert find_temporal(machine.progress, fetch=must_not_be_asked) == DevServer(tool)


@pytest.mark.parametrize("answer", ["temporal version 1.8.2 (Server 1.31.2, UI 2.50.1)", "temporal version DEV", ""])
def test_an_old_or_speechless_tool_is_passed_over_and_the_user_is_told(machine: Machine, answer: str) -> None:
    tool = machine.has("temporal", f"echo '{answer}'")
    machine.has_go(GO)
    assert isinstance(find_temporal(machine.progress, fetch=offline), ServerAndUi)
    assert f"passed over {tool}: its server is not 1.32 or newer" in machine.said.getvalue()


def test_what_the_sdk_downloads_is_kept_for_the_next_start(machine: Machine) -> None:
    first = find_temporal(machine.progress, fetch=fetches("temporal version 1.9.1 (Server 1.32.0, UI 2.54.1)"))
    assert isinstance(first, DevServer)
    assert find_temporal(machine.progress, fetch=must_not_be_asked) == first


def test_an_old_download_is_not_used(machine: Machine) -> None:
    machine.has_go(GO)
    found = find_temporal(machine.progress, fetch=fetches("temporal version 1.7.0 (Server 1.31.0, UI 2.49.1)"))
    assert isinstance(found, ServerAndUi)


def test_a_failed_download_is_one_sentence_and_the_build_follows(machine: Machine) -> None:
    machine.has_go(GO)
    assert isinstance(find_temporal(machine.progress, fetch=offline), ServerAndUi)
    said = machine.said.getvalue()
    assert "Temporal cannot be downloaded (error sending request: dns error); it is built here instead." in said
    assert "nobody wants to read" not in said


def test_a_build_is_done_once(machine: Machine) -> None:
    machine.has_go(GO)
    first = find_temporal(machine.progress, fetch=offline)
    machine.has_go(GO, build="exit 1")
    assert find_temporal(machine.progress, fetch=must_not_be_asked) == first


def test_missing_go_names_every_way_out(machine: Machine) -> None:
    with pytest.raises(StackError) as refusal:
        find_temporal(machine.progress, fetch=offline)
    assert str(refusal.value) == (
        f"Temporal has to be built once and Go is missing: install Go {GO} or newer, "
        "or install the `temporal` command line tool 1.9 or newer, or set TEMPORAL_ADDRESS to a running server"
    )


def test_an_old_go_is_named_with_its_version(machine: Machine) -> None:
    machine.has_go("1.21.3")
    with pytest.raises(StackError, match=r"is go1\.21\.3: install a newer Go"):
        find_temporal(machine.progress, fetch=offline)


def test_a_failing_build_shows_the_last_words_of_go_and_counts_as_no_build(machine: Machine) -> None:
    machine.has_go(GO, build='echo "dial tcp: lookup proxy: no such host" >&2; exit 1')
    with pytest.raises(StackError, match=r"could not be built(.|\n)*no such host"):
        find_temporal(machine.progress, fetch=offline)
    machine.has_go(GO)
    assert isinstance(find_temporal(machine.progress, fetch=offline), ServerAndUi)


def test_an_interrupted_build_is_begun_anew(machine: Machine) -> None:
    # The first program is built, the second dies: what is there must not pass for both.
    machine.has_go(GO, build='case "$output" in *ui) exit 137;; *) touch "$output";; esac')
    with pytest.raises(StackError):
        find_temporal(machine.progress, fetch=offline)
    machine.has_go(GO)
    programs = find_temporal(machine.progress, fetch=offline)
    assert isinstance(programs, ServerAndUi)
    assert programs.server.exists()
    assert programs.ui.exists()


def test_a_cache_that_cannot_be_written_names_the_setting(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.cache.write_text("a file where the folder should be")
    with pytest.raises(StackError, match="set XDG_CACHE_HOME to a folder you can write to"):
        find_temporal(machine.progress, fetch=offline)


def _on_this_machine(tool: str) -> str:
    found = shutil.which(tool)
    assert found is not None, f"{tool} is missing"
    return found
