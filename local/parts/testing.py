"""The servers of a test run, by name: the parts of the stack, tuned for short lives."""

from pathlib import Path

from local.errors import StackError
from local.part import Part
from local.parts.postgres import postgres_part
from local.parts.redis import redis_part


def build_part(name: str, *, folder: Path) -> Part:
    """`postgres`, `redis-<anything>` or `temporal`, with everything it writes below `folder`."""
    if name == "postgres":
        return postgres_part(data=folder / "postgres", sockets=folder, durable=False)
    if name.startswith("redis-"):
        sockets = folder / name
        return redis_part(directory=sockets, sockets=sockets, name=name)
    if name == "temporal":
        from local.parts.testing_temporal import temporal_part  # its imports cost a second that the others need not wait for

        return temporal_part(folder / "temporal")
    raise StackError(f"there is no test server called {name!r}")
