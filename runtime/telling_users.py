"""Tells users of their own alarms at their own targets: as `runtime/telling.py` does for operators, with quiet hours.

During quiet hours only what concerns an exit or shares that are held is told; the rest waits until they are over.
"""

import asyncio
from typing import TypeAlias

import structlog
from sqlalchemy.exc import SQLAlchemyError

from runtime.alarm_words import Message, message_about
from runtime.push import Push, Pushed
from runtime.user_targets import TargetNotAllowed, UserTargets, open_device
from storage.database import Database
from storage.models import DeviceToken, NotificationTarget
from storage.repositories import alerts, notifications
from trading.ports.clock import Clock
from trading.ports.sealing import SealBroken
from trading.quiet_hours import QuietHours
from trading.sessions import INDIA

_log = structlog.get_logger()

ROUND_SECONDS = 2.0
MOST_AT_ONCE = 200
# So many are told at the same time; one that hangs takes one place until its time is over.
PLACES = 20
# Exits, and shares that are held while something keeps them from being sold.
ABOUT_EXITS = frozenset(
    {
        "account_frozen",
        "broker_down",
        "daily_loss_limit",
        "handed_over",
        "order_doubled",
        "order_in_doubt",
        "oversold",
        "run_needs_person",
        "sold_elsewhere",
        "token_expired",
        "workflow_stuck",
    }
)


Recipient: TypeAlias = NotificationTarget | DeviceToken


class UserTeller:
    """`push`: the way to devices; None: this installation pushes to none."""

    def __init__(self, database: Database, targets: UserTargets, clock: Clock, push: Push | None = None) -> None:
        self._database = database
        self._targets = targets
        self._clock = clock
        self._push = push
        self._under_way: dict[str, asyncio.Task[int]] = {}

    async def run(self) -> None:
        """For ever."""
        try:
            while True:
                try:
                    await self.start_round()
                except (SQLAlchemyError, OSError, TimeoutError) as error:
                    _log.warning("user_alarms_not_read", error=type(error).__name__)
                except Exception as error:  # noqa: BLE001 (supervised loop: users must be told whatever one of their rows holds)
                    _log.error("telling_users_broken", error=type(error).__name__)
                await asyncio.sleep(ROUND_SECONDS)
        finally:
            for task in self._under_way.values():
                task.cancel()

    async def start_round(self) -> int:
        """Begin to tell whoever has news and is not being told already; how many that is."""
        self._under_way = {target_id: task for target_id, task in self._under_way.items() if not task.done()}
        quiet = notifications.Quiet(self._clock.now().astimezone(INDIA).time(), ABOUT_EXITS)
        async with self._database.transaction() as session:
            waiting: list[Recipient] = [
                *await notifications.with_news(session, NotificationTarget, most=MOST_AT_ONCE, quiet=quiet)
            ]
            if self._push is not None:
                waiting += await notifications.with_news(session, DeviceToken, most=MOST_AT_ONCE, quiet=quiet)
        chosen = [target for target in waiting if target.id not in self._under_way][: PLACES - len(self._under_way)]
        for target in chosen:
            self._under_way[target.id] = asyncio.create_task(self._supervised(target), name=f"tell {target.id}")
        return len(chosen)

    async def _supervised(self, target: Recipient) -> int:
        try:
            return await self.tell(target)
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            _log.warning("user_not_told", target=target.id, error=type(error).__name__)
        except Exception as error:  # noqa: BLE001 (a task of its own: its error must not go unseen, and may hold an address)
            _log.error("telling_a_user_broken", target=target.id, error=type(error).__name__)
        return 0

    async def tell(self, target: Recipient) -> int:
        """How many beginnings and ends it was told, or could not be told now."""
        only = ABOUT_EXITS if is_quiet(target, self._clock) else None
        async with self._database.transaction() as session:
            await alerts.enlist(
                session,
                target=target.id,
                most=MOST_AT_ONCE,
                user_id=target.user_id,
                raised_since=target.created_at,
                kinds=only,
            )
        async with self._database.transaction() as session:
            due = await alerts.take(session, target=target.id, most=MOST_AT_ONCE, kinds=only)
        if not due:
            return 0
        well = await self._send(target, message_about(due))
        async with self._database.transaction() as session:
            if well:
                await alerts.mark_delivered(session, [told.delivery_id for told in due])
            await notifications.note_told(session, target, well=well, now=self._clock.now())
        return len(due)

    async def _send(self, target: Recipient, message: Message) -> bool:
        """Whether it was taken."""
        try:
            if isinstance(target, NotificationTarget):
                opened = await asyncio.to_thread(self._targets.open, target)
                return await opened.tell(message)
            return await self._pushed(target, message)
        except (SealBroken, TargetNotAllowed) as error:
            _log.warning("target_not_opened", target=target.id, error=type(error).__name__)
            return False

    async def _pushed(self, device: DeviceToken, message: Message) -> bool:
        """A device whose push service does not know it any more is forgotten: the app registers anew when it is opened."""
        if self._push is None:
            return False
        outcome = await self._push.push(open_device(self._targets.sealer, device), message)
        if outcome is Pushed.GONE:
            async with self._database.transaction() as session:
                await notifications.forget_device(session, device, now=self._clock.now())
            _log.info("device_is_gone", device=device.id)
        return outcome is Pushed.TAKEN


def is_quiet(target: Recipient, clock: Clock) -> bool:
    if target.quiet_from is None or target.quiet_to is None:
        return False
    return QuietHours(target.quiet_from, target.quiet_to).cover(clock.now())
