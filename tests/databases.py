"""Databases of the test run: one template with today's schema, and a copy of it for each test that asks."""

import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import asyncpg

from local.parts.postgres import database_url
from tests.stack import ROOT, folder, locked

_TEMPLATE = "template_migrated"


async def new_database(sockets: Path) -> str:
    """Name of a fresh database with the schema of the newest migration."""
    name = f"test_{uuid4().hex}"
    await _execute(sockets, f'CREATE DATABASE "{name}" TEMPLATE "{_TEMPLATE}"')
    return name


async def drop_database(sockets: Path, name: str) -> None:
    """Also closes connections a failed test left open."""
    await _execute(sockets, f'DROP DATABASE "{name}" WITH (FORCE)')


async def ensure_template(sockets: Path) -> None:
    """Migrates the template once per test run."""
    done = folder() / "template.done"
    with locked("template"):
        if done.exists():
            return
        await _execute(sockets, f'DROP DATABASE IF EXISTS "{_TEMPLATE}" WITH (FORCE)')
        await _execute(sockets, f'CREATE DATABASE "{_TEMPLATE}"')
        _migrate(database_url(sockets, database=_TEMPLATE))
        done.touch()


def _migrate(url: str) -> None:
    if not (ROOT / "storage" / "__main__.py").exists():
        return
    command = [sys.executable, "-m", "storage", "upgrade"]
    environment = {**os.environ, "DATABASE_URL": url}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise RuntimeError(f"the migrations failed on an empty database:\n{result.stdout}{result.stderr}")


async def _execute(sockets: Path, statement: str) -> None:
    connection = await asyncpg.connect(host=str(sockets), user="postgres", database="postgres")
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
