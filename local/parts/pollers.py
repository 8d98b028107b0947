"""Whether a worker has begun to ask Temporal for work."""

from datetime import UTC, datetime, timedelta

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError


async def task_queue_is_polled(address: str, namespace: str, task_queue: str, *, since: datetime) -> bool:
    """True once some worker has polled the queue for workflow tasks after `since` (aware UTC)."""
    request = DescribeTaskQueueRequest(
        namespace=namespace,
        task_queue=TaskQueue(name=task_queue),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    )
    try:
        client = await Client.connect(address, namespace=namespace)
        answer = await client.workflow_service.describe_task_queue(request, timeout=timedelta(seconds=2))
    except (RPCError, RuntimeError):
        return False
    return any(poller.last_access_time.ToDatetime(tzinfo=UTC) >= since for poller in answer.pollers)
