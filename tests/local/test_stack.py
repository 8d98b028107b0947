"""Which parts a stack has, in which order, with which ports."""

import socket
from pathlib import Path

import pytest

from local.errors import StackError
from local.part import Part
from local.parts.temporal import dev_server_part, dynamic_values
from local.plan import Plan, make_plan
from local.ports import LOOPBACK, free_ports
from local.stack import build_parts, require_free_ports
from local.temporal_build import ServerAndUi
from local.temporal_programs import DevServer
from tests.ports import stack_ports

PROGRAMS = ServerAndUi(server=Path("temporal-server"), ui=Path("temporal-ui"))
CLI = DevServer(cli=Path("temporal"))


@pytest.fixture(autouse=True)
def _nothing_is_set(short_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "TEMPORAL_ADDRESS", "API_PORT", "WORKERS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(short_folder)


@pytest.fixture
def state(short_folder: Path) -> Path:
    return short_folder / "state"


def names(parts: list[Part]) -> list[str]:
    return [part.name for part in parts]


def test_every_part_comes_after_what_it_needs(state: Path) -> None:
    assert names(build_parts(make_plan(state), PROGRAMS)) == [
        *("postgres", "redis", "temporal", "temporal-ui"),
        *("migrations", "simulator", "worker-1", "listener", "api"),
    ]


def test_the_command_line_tool_holds_server_and_ui_in_one(state: Path) -> None:
    assert names(build_parts(make_plan(state), CLI))[:4] == ["postgres", "redis", "temporal", "migrations"]


def test_parts_the_user_has_elsewhere_are_not_started(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql+asyncpg://me@db/mine")
    monkeypatch.setenv("REDIS_URL", "redis://cache:6379/0")
    assert names(build_parts(make_plan(state), None))[0] == "migrations"


def test_parts_can_be_left_out(state: Path) -> None:
    plan = make_plan(state, without=frozenset({"simulator", "listener", "temporal-ui"}))
    assert names(build_parts(plan, PROGRAMS)) == ["postgres", "redis", "temporal", "migrations", "worker-1", "api"]


def test_there_are_as_many_workers_as_asked_for(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKERS", "3")
    assert [name for name in names(build_parts(make_plan(state), PROGRAMS)) if name.startswith("worker")] == [
        "worker-1",
        "worker-2",
        "worker-3",
    ]


def test_our_processes_get_the_stacks_environment_and_temporal_gets_no_secret(state: Path) -> None:
    parts = {part.name: part for part in build_parts(make_plan(state), PROGRAMS)}
    assert parts["api"].environment["JWT_KEYS"]
    for foreign in ("postgres", "redis", "temporal", "temporal-ui"):
        assert "JWT_KEYS" not in parts[foreign].environment
        assert "AES_MASTER_KEYS" not in parts[foreign].environment


@pytest.mark.parametrize(
    ("setting", "purpose"),
    [
        ("SIMULATOR_KITE_PORT", "the simulator"),
        ("SIMULATOR_CONTROL_PORT", "the simulator's control"),
        ("TEMPORAL_PORT", "Temporal"),
        ("TEMPORAL_UI_PORT", "Temporal's Web UI"),
        ("API_PORT", "the API"),
    ],
)
def test_each_busy_port_names_its_setting(state: Path, monkeypatch: pytest.MonkeyPatch, setting: str, purpose: str) -> None:
    plan_on_free_ports(state, monkeypatch)
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setenv(setting, str(port))
        with pytest.raises(StackError, match=f"^port {port} for {purpose} is taken .* with {setting}$"):
            require_free_ports(make_plan(state), CLI)


def test_a_busy_inner_port_of_temporal_is_found_too(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_on_free_ports(state, monkeypatch)
    inner = plan.local.temporal_port + 1
    with (
        socket.create_server((LOOPBACK, inner)),
        pytest.raises(StackError, match=f"^port {inner} for Temporal is taken .* with TEMPORAL_PORT$"),
    ):
        require_free_ports(plan, PROGRAMS)


def test_the_command_line_tool_gets_every_dynamic_setting_as_a_flag(state: Path) -> None:
    command = dev_server_part(CLI, directory=state, port=7233, ui_port=None).command
    flags = [command[at + 1] for at, word in enumerate(command) if word == "--dynamic-config-value"]
    assert len(flags) == len(dynamic_values())
    assert 'history.timerProcessorMaxTimeShift="100ms"' in flags
    assert "frontend.rps=20000" in flags
    assert "frontend.WorkflowTimeSkippingEnabled=true" in flags
    assert "--headless" in command


def plan_on_free_ports(state: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    for name, port in (stack_ports() | {"TEMPORAL_UI_PORT": str(free_ports(1)[0])}).items():
        monkeypatch.setenv(name, port)
    for port in range(20_000, 30_000, 50):
        monkeypatch.setenv("TEMPORAL_PORT", str(port))
        plan = make_plan(state)
        try:
            require_free_ports(plan, PROGRAMS)
        except StackError:
            continue
        return plan
    raise AssertionError("no nine neighbouring ports are free")
