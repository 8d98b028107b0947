"""The installation at a glance."""

from fastapi import APIRouter

from api.declared import SIGNED_IN, errors
from api.deps import CurrentAdmin, Platform
from api.errors import ErrorCode
from api.routes.operation import read_readiness
from api.routes.tags import ADMIN
from api.schemas.system import System
from api.version import VERSION
from storage.repositories import system

reading = APIRouter(prefix="/admin", tags=[ADMIN])


@reading.get("/system", operation_id="adminSystem", responses=errors(SIGNED_IN, ErrorCode.FORBIDDEN))
async def get_system(admin: CurrentAdmin, platform: Platform) -> System:
    """The state of the installation at a glance."""
    async with platform.database.transaction() as session:
        counts = await system.read(session)
    return System(
        version=VERSION,
        readiness=await read_readiness(platform),
        users=counts.users,
        strategies=counts.strategies,
        open_runs=counts.open_runs,
        orders_in_doubt=counts.orders_in_doubt,
        open_alerts=counts.open_alerts,
        temporal_ui_url=platform.settings.temporal_ui_url,
    )
