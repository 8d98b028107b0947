"""What live streams carry: the `data` of each kind of event."""

from collections.abc import Sequence

from pydantic import Field

from api.schemas.common import Answer, Instant
from api.schemas.strategy import Status
from api.schemas.trading import AlertAnswer


class StreamSnapshot(Answer):
    """`snapshot`: how everything of the user stands when the stream begins. Changes follow, some of which it may show already."""

    as_of: Instant
    strategies: Sequence[Status] = Field(description="Those that are running")
    alerts: Sequence[AlertAnswer] = Field(description="Those that are open, the user's own and the platform's")
