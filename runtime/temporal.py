"""The Temporal client, made in one place so that every process encodes alike."""

from datetime import timedelta

from temporalio.client import Client
from temporalio.service import KeepAliveConfig, RPCError, RPCStatusCode

from runtime.payloads import data_converter
from runtime.settings import Settings

# A call to Temporal that takes longer than this is reported as "unavailable" instead of hanging a request.
RPC_TIMEOUT = timedelta(seconds=5)


async def connect(settings: Settings, *, lazy: bool = False) -> Client:
    """Connect to Temporal. `lazy`: connect at the first call, so that a process can start while Temporal is down.

    Raises ValueError when payloads are to be sealed and there are no keys.
    """
    return await Client.connect(
        settings.temporal_address,
        namespace=settings.temporal_namespace,
        data_converter=data_converter(settings),
        keep_alive_config=KeepAliveConfig(interval_millis=10_000, timeout_millis=5_000),
        lazy=lazy,
    )


def is_gone(error: RPCError) -> bool:
    """Whether the workflow does not exist or has already ended."""
    return error.status is RPCStatusCode.NOT_FOUND
