"""A run's timeline: what happened, in words its owner understands. Written in the transaction of what it tells."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from storage.appending import append
from storage.models import Run, RunEvent


def tell(
    session: AsyncSession,
    run: Run,
    kind: str,
    message: str,
    *,
    price: Decimal | None = None,
    quantity: int | None = None,
    late_ms: int | None = None,
    at: datetime | None = None,
    data: dict[str, Any] | None = None,
) -> None:
    """Add one line. `at` is when it happened, if that is not now; `late_ms` is milliseconds after the wanted instant."""
    append(
        session,
        RunEvent,
        run_id=run.id,
        strategy_id=run.strategy_id,
        user_id=run.user_id,
        kind=kind,
        message=message,
        price=price,
        quantity=quantity,
        late_ms=late_ms,
        data=data or {},
        at=at,
    )


def rupees(price: Decimal) -> str:
    """A price as people read it: `₹3,512.50`."""
    return f"₹{price:,.2f}"
