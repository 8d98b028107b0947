"""Embedded Temporal: the server on SQLite and its Web UI, or the `temporal` command line tool that holds both."""

import json
import os
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

import yaml

from local.namespace import frontend_is_serving
from local.part import AfterReady, Part, Probe
from local.parts.http import http_ready
from local.ports import LOOPBACK, free_ports
from local.temporal_build import ServerAndUi
from local.temporal_programs import DevServer

_INFRA = Path(__file__).parents[2] / "infra" / "temporal"
_DYNAMIC_CONFIG = (_INFRA / "dynamic-config.yaml", _INFRA / "dynamic-config-local.yaml")


@dataclass(frozen=True, slots=True)
class TemporalPorts:
    """Every TCP port the server opens, all on loopback. Clients need `frontend` only."""

    frontend: int
    history: int
    matching: int
    worker: int
    frontend_http: int
    frontend_membership: int
    history_membership: int
    matching_membership: int
    worker_membership: int

    @classmethod
    def from_frontend(cls, port: int) -> Self:
        """The server's usual numbers around 7233, moved along with the frontend's."""
        return cls(port, port + 1, port + 2, port + 6, port + 10, port - 300, port - 299, port - 298, port - 294)

    @classmethod
    def unused(cls) -> Self:
        return cls(*free_ports(9))

    def all(self) -> tuple[int, ...]:
        return astuple(self)

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self.frontend}"


def server_part(
    programs: ServerAndUi,
    *,
    directory: Path,
    ports: TemporalPorts,
    in_memory: bool = False,
    after_ready: AfterReady | None = None,
) -> Part:
    """One process with all four services. `in_memory` forgets everything at its end: for tests."""
    directory.mkdir(parents=True, exist_ok=True)
    dynamic_config = directory / "dynamic-config.yaml"
    dynamic_config.write_text("\n".join(path.read_text() for path in _DYNAMIC_CONFIG))
    return Part(
        name="temporal",
        command=(str(programs.server), "--allow-no-auth", "start"),
        ready=_frontend_ready(ports.address),
        address=ports.address,
        directory=directory,
        environment={
            "PATH": os.environ.get("PATH", os.defpath),
            "GOGC": "400",  # fewer collections: memory is cheap here, a pause is a late order
            "LOG_LEVEL": "warn",
            "DYNAMIC_CONFIG_FILE_PATH": str(dynamic_config),
            **_database(directory, in_memory=in_memory),
            **_listen_on(ports),
        },
        after_ready=after_ready,
        ready_timeout_seconds=60,
    )


def ui_part(programs: ServerAndUi, *, directory: Path, temporal_address: str, port: int, namespace: str) -> Part:
    """The Web UI; it reads one configuration file."""
    settings = {
        "temporalGrpcAddress": temporal_address,
        "host": LOOPBACK,
        "port": port,
        "enableUi": True,
        "defaultNamespace": namespace,
        "disableNewsFetch": True,
        "cors": {"cookieInsecure": True, "allowOrigins": [f"http://{LOOPBACK}:{port}", f"http://localhost:{port}"]},
    }
    directory.mkdir(parents=True, exist_ok=True)
    # JSON is YAML.
    (directory / "stack.yaml").write_text(json.dumps(settings))
    return Part(
        name="temporal-ui",
        command=(str(programs.ui), "--root", str(directory), "--config", ".", "--env", "stack", "start"),
        ready=http_ready(f"http://{LOOPBACK}:{port}/"),
        address=f"http://{LOOPBACK}:{port}",
        directory=directory,
        environment={"PATH": os.environ.get("PATH", os.defpath)},
    )


def dev_server_part(
    program: DevServer,
    *,
    directory: Path,
    port: int,
    ui_port: int | None,
    in_memory: bool = False,
    after_ready: AfterReady | None = None,
) -> Part:
    """The command line tool's own server, with its UI unless `ui_port` is None."""
    directory.mkdir(parents=True, exist_ok=True)
    address = f"{LOOPBACK}:{port}"
    options = ["--ip", LOOPBACK, "--port", str(port), "--log-level", "warn"]
    options += ["--headless"] if ui_port is None else ["--ui-ip", LOOPBACK, "--ui-port", str(ui_port)]
    options += [] if in_memory else ["--db-filename", str(directory / "dev-server.db")]
    for key, value in dynamic_values().items():
        options += ["--dynamic-config-value", f"{key}={json.dumps(value)}"]
    return Part(
        name="temporal",
        command=(str(program.cli), "server", "start-dev", *options),
        ready=_frontend_ready(address),
        address=address,
        directory=directory,
        environment={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(directory), "GOGC": "400"},
        after_ready=after_ready,
        ready_timeout_seconds=60,
    )


def dynamic_values() -> Mapping[str, object]:
    """Both dynamic configuration files as one value per key; neither uses constraints."""
    values: dict[str, object] = {}
    for path in _DYNAMIC_CONFIG:
        values |= {key: entries[0]["value"] for key, entries in yaml.safe_load(path.read_text()).items()}
    return values


def _database(directory: Path, *, in_memory: bool) -> dict[str, str]:
    if in_memory:
        return {"DB": "sqlite", "DBNAME": "main", "VISIBILITY_DBNAME": "visibility", "SQLITE_MODE": "memory"}
    return {
        "DB": "sqlite",
        "DBNAME": str(directory / "temporal.db"),
        "VISIBILITY_DBNAME": str(directory / "visibility.db"),
        "SQLITE_JOURNAL_MODE": "wal",
        "SQLITE_SYNCHRONOUS": "2",  # what the server has acknowledged survives a power cut
        "NUM_HISTORY_SHARDS": "1",  # SQLite has one writer; more shards only add polling
    }


def _listen_on(ports: TemporalPorts) -> dict[str, str]:
    return {
        "BIND_ON_IP": LOOPBACK,
        "TEMPORAL_BROADCAST_ADDRESS": LOOPBACK,
        "FRONTEND_GRPC_PORT": str(ports.frontend),
        "HISTORY_GRPC_PORT": str(ports.history),
        "MATCHING_GRPC_PORT": str(ports.matching),
        "WORKER_GRPC_PORT": str(ports.worker),
        "FRONTEND_HTTP_PORT": str(ports.frontend_http),
        "FRONTEND_MEMBERSHIP_PORT": str(ports.frontend_membership),
        "HISTORY_MEMBERSHIP_PORT": str(ports.history_membership),
        "MATCHING_MEMBERSHIP_PORT": str(ports.matching_membership),
        "WORKER_MEMBERSHIP_PORT": str(ports.worker_membership),
    }


def _frontend_ready(address: str) -> Probe:
    async def ready(_started_at: datetime) -> bool:
        return await frontend_is_serving(address)

    return ready
