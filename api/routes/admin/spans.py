"""Spans of time in queries."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Query
from pydantic import AfterValidator, AwareDatetime, BeforeValidator

from api.schemas.common import dated

_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)


def _in_reach(value: datetime | None) -> datetime | None:
    """Kept inside what ids and the database can hold."""
    return None if value is None else min(max(value, _EARLIEST), _LATEST)


From = Annotated[
    AwareDatetime | None,
    AfterValidator(_in_reach),
    BeforeValidator(dated),
    Query(alias="from", description="Not before this instant, with its zone", examples=["2026-11-20T03:45:00Z"]),
]
To = Annotated[
    AwareDatetime | None, AfterValidator(_in_reach), BeforeValidator(dated), Query(alias="to", description="Before this instant")
]
