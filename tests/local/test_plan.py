"""What the stack decides, and what it leaves to the user."""

import os
from pathlib import Path

import pytest

from local.errors import StackError
from local.plan import Plan, make_plan

BROKERS = ("zerodha", "dhan", "angel_one", "fyers")


@pytest.fixture(autouse=True)
def _clean_machine(short_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing set, and no .env in the working directory."""
    decided = (
        "DATABASE_",
        "REDIS_",
        "TEMPORAL_",
        "API_",
        "JWT_",
        "AES_",
        "SIMULATOR_",
        *(f"{name.upper()}_" for name in BROKERS),
    )
    for name in list(os.environ):
        if name.startswith(decided):
            monkeypatch.delenv(name)
    monkeypatch.chdir(short_folder)


@pytest.fixture
def state(short_folder: Path) -> Path:
    return short_folder / "state"


def test_everything_points_at_the_embedded_parts(state: Path) -> None:
    environment = make_plan(state).environment
    assert environment["DATABASE_URL"] == f"postgresql+asyncpg://postgres@/algo_trading?host={state}/sockets"
    assert environment["REDIS_URL"] == f"unix://{state}/sockets/redis.sock"
    assert environment["TEMPORAL_ADDRESS"] == "127.0.0.1:7233"
    assert environment["ZERODHA_API_URL"] == "http://127.0.0.1:8090"
    assert environment["ZERODHA_WS_URL"] == "ws://127.0.0.1:8090"
    assert environment["ZERODHA_LOGIN_URL"] == "http://127.0.0.1:8090/connect/login"


def test_a_setting_of_the_user_wins_and_its_part_is_not_started(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql+asyncpg://me@db/mine")
    plan = make_plan(state)
    assert plan.environment["DATABASE_URL"] == "postgresql+asyncpg://me@db/mine"
    assert not plan.embeds_postgres
    assert plan.embeds_redis


def test_dot_env_counts_as_the_users_word(state: Path, short_folder: Path) -> None:
    (short_folder / ".env").write_text("TEMPORAL_ADDRESS=temporal.example:7233\nAPI_PORT=8123\n")
    plan = make_plan(state)
    assert not plan.embeds_temporal
    # Children read .env themselves; what must not happen is a decision of ours on top of it.
    assert "TEMPORAL_ADDRESS" not in plan.environment
    assert plan.environment["PUBLIC_URL"] == "http://127.0.0.1:8123"


def test_an_empty_value_is_no_value(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "")
    monkeypatch.setenv("JWT_KEYS", "")
    plan = make_plan(state)
    assert plan.embeds_postgres
    assert plan.environment["JWT_KEYS"]


def test_a_broker_is_pointed_at_the_simulator_as_a_whole_or_not_at_all(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZERODHA_API_URL", "http://127.0.0.1:9999")
    environment = make_plan(state).environment
    assert environment["ZERODHA_API_URL"] == "http://127.0.0.1:9999"
    assert "ZERODHA_WS_URL" not in environment
    assert "ZERODHA_LOGIN_URL" not in environment


def test_without_the_simulator_nothing_points_at_it(state: Path) -> None:
    environment = make_plan(state, without=frozenset({"simulator"})).environment
    assert not [name for name in environment if name.startswith("ZERODHA_")]


def test_ports_of_the_user_are_used_throughout(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, port in {"TEMPORAL_PORT": "17233", "TEMPORAL_UI_PORT": "18233", "SIMULATOR_KITE_PORT": "18090"}.items():
        monkeypatch.setenv(name, port)
    plan = make_plan(state)
    assert plan.settings.temporal_address == "127.0.0.1:17233"
    assert plan.settings.temporal_ui_url == "http://127.0.0.1:18233"
    assert plan.settings.zerodha_ws_url == "ws://127.0.0.1:18090"


def test_a_setting_that_cannot_be_is_named(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_PORT", "eighty")
    with pytest.raises(StackError, match=r"the setting TEMPORAL_PORT cannot be used: .*integer"):
        make_plan(state)


def test_a_secret_that_cannot_be_is_named_but_not_repeated(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_PORT", "hunter2")
    with pytest.raises(StackError) as refusal:
        make_plan(state)
    assert "hunter2" not in str(refusal.value)


def test_an_unknown_part_cannot_be_left_out(state: Path) -> None:
    with pytest.raises(StackError, match="there is no part called simulater; --without takes simulator, demo"):
        make_plan(state, without=frozenset({"simulater"}))


def test_the_keys_reach_the_processes(state: Path) -> None:
    plan: Plan = make_plan(state)
    kept = dict(line.split("=", 1) for line in (state / "secrets.env").read_text().splitlines() if "=" in line)
    assert {name: plan.environment[name] for name in kept} == kept
    assert set(kept) == {"JWT_KEYS", "AES_MASTER_KEYS"}
