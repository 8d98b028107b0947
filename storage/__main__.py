"""`python -m storage upgrade | downgrade REVISION | revision MESSAGE | check`: migrations of the database in DATABASE_URL."""

import asyncio
import os
import sys

import typer
from alembic.util import CommandError

from storage import migrate

app = typer.Typer(add_completion=False, help="Migrations of the database named by DATABASE_URL.", no_args_is_help=True)


def _database_url() -> str:
    url = os.environ.get("DATABASE_URL", "")
    if not url:
        typer.secho("DATABASE_URL is not set: name the database to migrate.", fg="red", err=True)
        raise typer.Exit(2)
    return url


@app.command()
def upgrade(revision: str = "head") -> None:
    """Bring the schema up to date."""
    asyncio.run(migrate.upgrade(_database_url(), revision))


@app.command()
def downgrade(revision: str) -> None:
    """Take the schema back to a revision; `base` removes everything."""
    asyncio.run(migrate.downgrade(_database_url(), revision))


@app.command()
def revision(message: str) -> None:
    """Write a migration for what changed in the models."""
    asyncio.run(migrate.make_revision(_database_url(), message))


@app.command()
def check() -> None:
    """Say whether the models and the migrations agree."""
    try:
        asyncio.run(migrate.check(_database_url()))
    except CommandError as error:
        typer.secho(str(error), fg="red", err=True)
        sys.exit(1)


if __name__ == "__main__":
    app()
