"""The Temporal namespace: registered, and known to all of the server's services, before anything uses it.

`python -m local.namespace` does it for the server in TEMPORAL_ADDRESS; docker-compose.yml runs that once.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, ListWorkflowExecutionsRequest, RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import ConnectConfig, RPCError, RPCStatusCode, ServiceClient

from local.errors import StackError
from runtime.settings import Settings
from workflows.names import SEARCH_ATTRIBUTES

RETENTION = timedelta(days=3)
_KNOWN_LIMIT_SECONDS = 30.0
_PAUSE_SECONDS = 0.05
# What a service answers while its copy of the namespaces is older than the registration.
_NOT_YET = frozenset({RPCStatusCode.NOT_FOUND, RPCStatusCode.UNAVAILABLE, RPCStatusCode.INVALID_ARGUMENT})


async def frontend_is_serving(address: str) -> bool:
    try:
        service = await asyncio.wait_for(ServiceClient.connect(ConnectConfig(target_host=address)), 2)
        return await service.check_health(timeout=timedelta(seconds=1))
    except (RPCError, RuntimeError, TimeoutError):
        return False


async def ensure_namespace(address: str, namespace: str, *, search_attributes: Sequence[str] = ()) -> None:
    """Registers `namespace` (closed runs are kept three days) and Keyword search attributes, unless they are there.

    Returns when the frontend answers queries on it. Raises StackError when that does not happen.
    """
    client = await Client.connect(address, namespace=namespace)
    if not await _is_registered(client):
        await _register(client)
    await _until_known(client)
    await _add_search_attributes(client, search_attributes)


async def _is_registered(client: Client) -> bool:
    try:
        await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return True


async def _register(client: Client) -> None:
    retention = Duration()
    retention.FromTimedelta(RETENTION)
    request = RegisterNamespaceRequest(namespace=client.namespace, workflow_execution_retention_period=retention)
    try:
        await client.workflow_service.register_namespace(request)
    except RPCError as error:
        if error.status is not RPCStatusCode.ALREADY_EXISTS:
            raise


async def _until_known(client: Client) -> None:
    request = ListWorkflowExecutionsRequest(namespace=client.namespace, page_size=1)
    deadline = asyncio.get_running_loop().time() + _KNOWN_LIMIT_SECONDS
    while True:
        try:
            await client.workflow_service.list_workflow_executions(request)
        except RPCError as error:
            if error.status not in _NOT_YET:
                raise
            if asyncio.get_running_loop().time() > deadline:
                raise StackError(f"Temporal does not know its namespace {client.namespace!r}: {error.message}") from error
            await asyncio.sleep(_PAUSE_SECONDS)
        else:
            return


async def _add_search_attributes(client: Client, names: Sequence[str]) -> None:
    listed = await client.operator_service.list_search_attributes(ListSearchAttributesRequest(namespace=client.namespace))
    missing = {name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD for name in names if name not in listed.custom_attributes}
    if not missing:
        return
    try:
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing)
        )
    except RPCError as error:
        if error.status is not RPCStatusCode.ALREADY_EXISTS:
            raise


async def _main() -> None:
    settings = Settings()
    await ensure_namespace(settings.temporal_address, settings.temporal_namespace, search_attributes=SEARCH_ATTRIBUTES)


if __name__ == "__main__":
    asyncio.run(_main())
