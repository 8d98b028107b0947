"""Cursors: opaque to clients, and refused when they were not made here."""

import base64
import binascii
from datetime import datetime
from typing import Annotated

from fastapi import Query
from pydantic import AfterValidator

from api.errors import ApiError, ErrorCode
from api.schemas.common import storable
from storage.ids import is_id
from storage.repositories.strategies import After

LARGEST_PAGE = 200

Limit = Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="Rows per page")]
Cursor = Annotated[str | None, Query(max_length=200, description="`next_cursor` of the page before")]

# An id to filter by; one that exists nowhere finds nothing.
FilterText = Annotated[str, AfterValidator(storable), Query(max_length=64)]


def cursor_of(created_at: datetime, row_id: str) -> str:
    return base64.urlsafe_b64encode(f"{created_at.isoformat()}|{row_id}".encode()).decode()


def read_cursor(cursor: str | None, *, prefix: str) -> After | None:
    """Raises ApiError INVALID_CURSOR."""
    if cursor is None:
        return None
    try:
        moment, _, row_id = base64.b64decode(cursor, altchars=b"-_", validate=True).decode().partition("|")
        after = After(datetime.fromisoformat(moment), row_id)
    except (binascii.Error, ValueError) as error:
        raise ApiError(ErrorCode.INVALID_CURSOR) from error
    if after.created_at.tzinfo is None or not is_id(row_id, prefix):
        raise ApiError(ErrorCode.INVALID_CURSOR)
    return after


def read_id_cursor(cursor: str | None, *, prefix: str) -> str | None:
    """For lists in the order of ids, which grow with time. Raises ApiError INVALID_CURSOR."""
    if cursor is not None and not is_id(cursor, prefix):
        raise ApiError(ErrorCode.INVALID_CURSOR)
    return cursor


def read_number_cursor(cursor: str | None) -> int | None:
    """For lists in the order of a sequence number. Raises ApiError INVALID_CURSOR."""
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) <= 18):
        raise ApiError(ErrorCode.INVALID_CURSOR)
    return int(cursor)
