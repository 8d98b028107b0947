"""`status`: the parts of the running stack as a table, and what readiness says of each: lags, open alarms."""

import asyncio
import time

from rich.markup import escape
from rich.table import Column, Table

from local.health import answers_at
from local.parts.http import fetch_json
from local.record import PartRecord, StackRecord


async def status_table(record: StackRecord) -> Table:
    columns = ("part", "process", "up for", "restarts", Column("address", overflow="fold"), "health")
    table = Table(*columns, title=f"supervisor {record.supervisor.pid}")
    healths = await asyncio.gather(*(_health(part) for part in record.parts))
    for part, health in zip(record.parts, healths, strict=True):
        process = str(part.process.pid) if part.process else "-"
        restarts = f"[yellow]{part.restarts}[/]" if part.restarts else "0"
        table.add_row(part.name, process, _up_for(part), restarts, part.address, health)
    return table


async def _health(part: PartRecord) -> str:
    if part.process is None or part.process.living() is None:
        return "[red]not running[/]"
    if part.address and not await answers_at(part.address):
        return "[red]does not answer[/]"
    return "[green]answers[/]" if part.address else "[green]runs[/]"


async def readiness_table(api_address: str) -> Table | None:
    """What `GET /ready` says; None when it does not answer."""
    answer = await fetch_json(f"{api_address}/ready")
    if answer is None:
        return None
    table = Table("what", "state", "lag", Column("detail", overflow="fold"), title=f"readiness: {answer.get('status')}")
    for part in answer.get("parts", []):
        color = {"ok": "green", "degraded": "yellow"}.get(part["state"], "red")
        lag = "" if part["lag_ms"] is None else f"{part['lag_ms']:.0f} ms"
        table.add_row(part["name"], f"[{color}]{part['state']}[/]", lag, escape(part["detail"]))
    return table


def _up_for(part: PartRecord) -> str:
    if part.process is None:
        return "-"
    seconds = max(0, int(time.time() - part.process.started))
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
