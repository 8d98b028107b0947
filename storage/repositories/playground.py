"""The playground's rows. Everything a user asks for takes `user_id` and filters by it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import undefer

from storage.models import JobKind, JobState, PlaygroundData, PlaygroundDay, PlaygroundJob, User

UNFINISHED = (JobState.QUEUED, JobState.RUNNING, JobState.PLAYING)


async def lock_user(session: AsyncSession, *, user_id: str) -> None:
    """One after the other: what is counted stays true until it is added to."""
    await session.execute(select(User.id).where(User.id == user_id).with_for_update())


# --- prices -----------------------------------------------------------------------------------------------------------


async def count_data(session: AsyncSession, *, user_id: str) -> int:
    counted = select(func.count()).where(PlaygroundData.user_id == user_id, PlaygroundData.deleted_at.is_(None))
    return (await session.scalars(counted)).one()


async def data_page(session: AsyncSession, *, user_id: str, before: str | None, limit: int) -> Sequence[PlaygroundData]:
    """Newest first, without the prices themselves."""
    statement = select(PlaygroundData).where(PlaygroundData.user_id == user_id, PlaygroundData.deleted_at.is_(None))
    if before is not None:
        statement = statement.where(PlaygroundData.id < before)
    return (await session.scalars(statement.order_by(PlaygroundData.id.desc()).limit(limit))).all()


async def find_data(session: AsyncSession, *, data_id: str, user_id: str, with_content: bool = False) -> PlaygroundData | None:
    statement = select(PlaygroundData).where(
        PlaygroundData.id == data_id, PlaygroundData.user_id == user_id, PlaygroundData.deleted_at.is_(None)
    )
    return await session.scalar(statement.options(undefer(PlaygroundData.content)) if with_content else statement)


async def delete_data(session: AsyncSession, *, data_id: str, user_id: str) -> bool:
    """Gone for good: nothing of the record depends on it. False when there is none."""
    gone = delete(PlaygroundData).where(PlaygroundData.id == data_id, PlaygroundData.user_id == user_id)
    return (await session.execute(gone.returning(PlaygroundData.id))).first() is not None


# --- results ----------------------------------------------------------------------------------------------------------


async def count_jobs(session: AsyncSession, *, user_id: str) -> tuple[int, int]:
    """How many there are, and how many of them are not over."""
    unfinished = func.count().filter(PlaygroundJob.state.in_(UNFINISHED))
    row = (await session.execute(select(func.count(), unfinished).where(PlaygroundJob.user_id == user_id))).one()
    return row[0], row[1]


async def job_page(
    session: AsyncSession, *, user_id: str, kind: JobKind | None, before: str | None, limit: int
) -> Sequence[PlaygroundJob]:
    """Newest first."""
    statement = select(PlaygroundJob).where(PlaygroundJob.user_id == user_id)
    if kind is not None:
        statement = statement.where(PlaygroundJob.kind == kind)
    if before is not None:
        statement = statement.where(PlaygroundJob.id < before)
    return (await session.scalars(statement.order_by(PlaygroundJob.id.desc()).limit(limit))).all()


async def find_job(session: AsyncSession, *, job_id: str, user_id: str) -> PlaygroundJob | None:
    statement = select(PlaygroundJob).where(PlaygroundJob.id == job_id, PlaygroundJob.user_id == user_id)
    return await session.scalar(statement.execution_options(populate_existing=True))


async def delete_job(session: AsyncSession, *, job_id: str, user_id: str) -> bool:
    """With all its days. False when there is none, or it is not over."""
    gone = delete(PlaygroundJob).where(
        PlaygroundJob.id == job_id, PlaygroundJob.user_id == user_id, PlaygroundJob.state.not_in(UNFINISHED)
    )
    return (await session.execute(gone.returning(PlaygroundJob.id))).first() is not None


async def forget(session: AsyncSession, *, job_id: str) -> None:
    """A job whose workflow could not be started: it never was."""
    await session.execute(delete(PlaygroundJob).where(PlaygroundJob.id == job_id, PlaygroundJob.state == JobState.QUEUED))


async def day_page(
    session: AsyncSession, *, job_id: str, user_id: str, variant: int | None, after: int | None, limit: int
) -> Sequence[PlaygroundDay]:
    """In the order of days."""
    statement = select(PlaygroundDay).where(PlaygroundDay.job_id == job_id, PlaygroundDay.user_id == user_id)
    if variant is not None:
        statement = statement.where(PlaygroundDay.variant == variant)
    if after is not None:
        statement = statement.where(PlaygroundDay.sequence > after)
    return (await session.scalars(statement.order_by(PlaygroundDay.sequence).limit(limit))).all()


# --- the work ---------------------------------------------------------------------------------------------------------


async def begin(session: AsyncSession, *, job_id: str, now: datetime) -> PlaygroundJob | None:
    """The job, now running; None when it is over, or has been shown in part already."""
    begun = (
        update(PlaygroundJob)
        .where(PlaygroundJob.id == job_id, PlaygroundJob.state.in_((JobState.QUEUED, JobState.RUNNING)))
        .values(state=JobState.RUNNING, started_at=func.coalesce(PlaygroundJob.started_at, now))
        .returning(PlaygroundJob)
    )
    return await session.scalar(begun, execution_options={"populate_existing": True})


async def add_days(session: AsyncSession, job: PlaygroundJob, rows: Sequence[dict[str, Any]], *, finished: int) -> bool:
    """Days and how far it is, in one transaction. A day that is there already stays. False: the job is over, stop reckoning."""
    counted = (
        update(PlaygroundJob)
        .where(PlaygroundJob.id == job.id, PlaygroundJob.state == JobState.RUNNING)
        .values(finished=func.greatest(PlaygroundJob.finished, finished))
    )
    if (await session.execute(counted.returning(PlaygroundJob.id))).first() is None:
        return False
    if rows:
        await session.execute(insert(PlaygroundDay).on_conflict_do_nothing(index_elements=["job_id", "sequence"]), list(rows))
    return True


async def keep_result(
    session: AsyncSession, *, job_id: str, result: dict[str, Any], total: int, playing_since: datetime | None
) -> bool:
    """What came of it; with `playing_since` it is shown from then on. False: the job is over."""
    kept = update(PlaygroundJob).where(PlaygroundJob.id == job_id, PlaygroundJob.state == JobState.RUNNING)
    values: dict[str, Any] = {"result": result, "finished": total, "total": total}
    if playing_since is not None:
        values |= {"state": JobState.PLAYING, "playing_since": playing_since}
    return (await session.execute(kept.values(**values).returning(PlaygroundJob.id))).first() is not None


async def end(session: AsyncSession, *, job_id: str, state: JobState, failure: str, now: datetime) -> bool:
    """False when it has ended before."""
    ended = (
        update(PlaygroundJob)
        .where(PlaygroundJob.id == job_id, PlaygroundJob.state.in_(UNFINISHED))
        .values(state=state, failure=failure, ended_at=now)
    )
    return (await session.execute(ended.returning(PlaygroundJob.id))).first() is not None
