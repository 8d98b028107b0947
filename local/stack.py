"""The stack as a list of parts, in the order in which they depend on each other."""

from collections.abc import Iterator
from functools import partial

from local.dialects import DIALECTS, port_of
from local.namespace import ensure_namespace
from local.part import Part
from local.parts.postgres import ensure_database, postgres_part
from local.parts.processes import own_parts
from local.parts.redis import redis_part
from local.parts.temporal import TemporalPorts, dev_server_part, server_part, ui_part
from local.plan import Plan
from local.ports import require_free_port
from local.temporal_build import ServerAndUi
from local.temporal_programs import TemporalPrograms
from workflows.names import SEARCH_ATTRIBUTES


def build_parts(plan: Plan, programs: TemporalPrograms | None) -> list[Part]:
    """`programs` is None when the user has named a Temporal of their own."""
    return [*_stores(plan), *(_temporal(plan, programs) if programs is not None else ()), *own_parts(plan)]


def require_free_ports(plan: Plan, programs: TemporalPrograms | None) -> None:
    """Before anything starts. Raises StackError, naming the port and the setting that moves it."""
    if plan.runs("api"):
        require_free_port(plan.settings.api_port, purpose="the API", setting="API_PORT", host=plan.settings.api_host)
    for port, purpose, setting in _loopback_ports(plan, programs):
        require_free_port(port, purpose=purpose, setting=setting)


def _stores(plan: Plan) -> Iterator[Part]:
    if plan.embeds_postgres:
        after_ready = partial(ensure_database, plan.sockets)
        yield postgres_part(data=plan.state / "postgres", sockets=plan.sockets, after_ready=after_ready)
    if plan.embeds_redis:
        yield redis_part(directory=plan.state / "redis", sockets=plan.sockets)


def _temporal(plan: Plan, programs: TemporalPrograms) -> Iterator[Part]:
    directory, ports = plan.state / "temporal", TemporalPorts.from_frontend(plan.local.temporal_port)
    namespace = plan.settings.temporal_namespace
    register = partial(ensure_namespace, ports.address, namespace, search_attributes=SEARCH_ATTRIBUTES)
    with_ui = plan.runs("temporal-ui")
    if not isinstance(programs, ServerAndUi):
        ui_port = plan.local.temporal_ui_port if with_ui else None
        yield dev_server_part(programs, directory=directory, port=ports.frontend, ui_port=ui_port, after_ready=register)
        return
    yield server_part(programs, directory=directory, ports=ports, after_ready=register)
    if with_ui:
        yield ui_part(
            programs,
            directory=plan.state / "temporal-ui",
            temporal_address=ports.address,
            port=plan.local.temporal_ui_port,
            namespace=namespace,
        )


def _loopback_ports(plan: Plan, programs: TemporalPrograms | None) -> Iterator[tuple[int, str, str]]:
    if plan.runs("simulator"):
        for broker, place in DIALECTS.items():
            yield port_of(plan.local, broker), place.title, f"SIMULATOR_{place.port.upper()}_PORT"
        yield plan.local.simulator_control_port, "the simulator's control", "SIMULATOR_CONTROL_PORT"
    if programs is not None:
        ports = TemporalPorts.from_frontend(plan.local.temporal_port)
        for port in ports.all() if isinstance(programs, ServerAndUi) else (ports.frontend,):
            yield port, "Temporal", "TEMPORAL_PORT"
        if plan.runs("temporal-ui"):
            yield plan.local.temporal_ui_port, "Temporal's Web UI", "TEMPORAL_UI_PORT"
