"""Our own processes as parts: migrations, simulator, worker, listener, api."""

import sys
from collections.abc import Iterator
from datetime import datetime

from local.dialects import port_options
from local.part import Part, Probe
from local.parts.http import http_ready
from local.parts.pollers import task_queue_is_polled
from local.plan import ROOT, Plan
from local.ports import LOOPBACK


def own_parts(plan: Plan) -> Iterator[Part]:
    """In the order in which they depend on each other; without those the user left out."""
    yield migrations_part(plan)
    if plan.runs("simulator"):
        yield simulator_part(plan)
    if plan.runs("worker"):
        for number in range(1, plan.local.workers + 1):
            yield worker_part(plan, number)
    if plan.runs("listener"):
        yield listener_part(plan)
    if plan.runs("api"):
        yield api_part(plan)


def migrations_part(plan: Plan) -> Part:
    return _python(plan, "migrations", "-m", "storage", "upgrade", ready=None)


def simulator_part(plan: Plan) -> Part:
    control = str(plan.local.simulator_control_port)
    ports = ("--host", LOOPBACK, "--control-port", control, *port_options(plan.local))
    files = ("--data", str(plan.state / "simulator"), "--log", str(plan.logs / "exchange.jsonl"))
    ready = http_ready(f"{plan.simulator_control_url}/control/health")
    return _python(plan, "simulator", "-m", "simulator", *ports, *files, ready=ready, address=plan.simulator_control_url)


def worker_part(plan: Plan, number: int) -> Part:
    async def ready(started_at: datetime) -> bool:
        settings = plan.settings
        return await task_queue_is_polled(
            settings.temporal_address, settings.temporal_namespace, settings.task_queue, since=started_at
        )

    name = f"worker-{number}"
    # Long enough to finish the orders that are on the wire.
    return _python(plan, name, "worker.py", ready=ready, stop_timeout_seconds=20)


def listener_part(plan: Plan) -> Part:
    return _python(plan, "listener", "-m", "listener", ready=has_lived(seconds=1))


def api_part(plan: Plan) -> Part:
    host, port = plan.settings.api_host, plan.settings.api_port
    # Open event streams never end by themselves; three seconds are theirs when the stack stops.
    options = ("--host", host, "--port", str(port), "--timeout-graceful-shutdown", "3")
    ready = http_ready(f"{plan.api_url}/health")
    return _python(plan, "api", "-m", "uvicorn", "api.main:app", *options, ready=ready, address=plan.api_url)


def has_lived(*, seconds: float) -> Probe:
    """For a part nobody connects to: it has not died at once."""

    async def ready(started_at: datetime) -> bool:
        return (datetime.now(started_at.tzinfo) - started_at).total_seconds() >= seconds

    return ready


def _python(
    plan: Plan,
    name: str,
    *arguments: str,
    ready: Probe | None,
    address: str = "",
    stop_timeout_seconds: float = 10.0,
) -> Part:
    return Part(
        name=name,
        command=(sys.executable, *arguments),
        ready=ready,
        address=address,
        directory=ROOT,
        environment={**plan.environment, "PYTHONUNBUFFERED": "1"},
        ready_timeout_seconds=60,
        stop_timeout_seconds=stop_timeout_seconds,
    )
