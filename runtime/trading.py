"""Wires what trades: the floor with its desks, and the activities that ask it. Shared by the worker and by tests."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from redis.asyncio import Redis

from activities.entry import DeskEntryActivities
from activities.exit import DeskExitActivities
from activities.playing import ApartPlaygroundActivities
from activities.reconciliation import BrokerReconciliationActivities
from activities.runs import RowRunActivities
from activities.trading_day import RowTradingDayActivities
from cache.prices import PriceCache
from execution.absences import Absences
from execution.change import Changer
from execution.day_limits import DayLimits, Instruments
from execution.day_rows import DaysRows
from execution.floor import Floor
from execution.news import News
from execution.notices import Notices
from execution.prices import ReferencePrices
from execution.rush import Rush
from execution.send import Sender
from execution.sights import Sights
from execution.switchboard import Switchboard
from execution.tools import Accounts, Pace, Tools
from execution.under_way import KnownOrders, OrdersUnderWay
from execution.waiting import RunWatch
from runtime.calendar import ExchangeCalendar
from runtime.process import process_name
from runtime.settings import Settings
from storage.database import Database
from trading.ports.clock import Clock
from trading.ports.metrics import Metrics
from trading.sessions import TradingCalendar
from workflows.names import strategy_workflow_id


@dataclass(frozen=True, slots=True)
class TradingRoom:
    """The floor, the watch activities wait at, and the activities themselves."""

    tools: Tools
    floor: Floor
    watch: RunWatch
    activities: list[Callable[..., Any]]

    def start(self) -> None:
        self.floor.start()
        self.watch.start()

    async def close(self) -> None:
        await self.watch.close()
        await self.floor.close()


def open_trading_room(
    settings: Settings,
    *,
    database: Database,
    redis: Redis,
    accounts: Accounts,
    instruments: Instruments,
    calendar: TradingCalendar,
    clock: Clock,
    metrics: Metrics,
    claims: Database | None = None,
) -> TradingRoom:
    """`claims`: connections for claims alone; by default they share those of everything else."""
    owner = process_name(settings, "worker")
    switchboard, rush = Switchboard(), Rush()
    news = News(database, clock, rush)
    pace = Pace(
        settle=timedelta(seconds=settings.settle_time_seconds),
        timeout=timedelta(seconds=settings.broker_timeout_seconds),
        lease_seconds=settings.lease_seconds,
        simulated_per_second=settings.simulated_orders_per_second,
        head_start=settings.desk_head_start,
    )
    tools = Tools(
        database=database,
        claims=claims or database,
        clock=clock,
        accounts=accounts,
        instruments=instruments,
        limits=DayLimits(instruments, clock),
        prices=ReferencePrices(PriceCache(redis)),
        notices=Notices(redis),
        metrics=metrics,
        sender=Sender(database=database, clock=clock, owner=owner, switchboard=switchboard, rush=rush, news=news),
        rush=rush,
        changer=Changer(database=database, clock=clock, owner=owner),
        news=news,
        sights=Sights(database, clock, rush),
        absences=Absences(database, clock, rush, timeout=pace.timeout),
        under_way=OrdersUnderWay(database, clock),
        known=KnownOrders(database),
        days=DaysRows(database),
        pace=pace,
        owner=owner,
        switchboard=switchboard,
        default_limits=settings.default_limits,
    )
    floor = Floor(tools, redis)
    watch = RunWatch(database, floor)
    entry = DeskEntryActivities(tools=tools, floor=floor, watch=watch)
    leaving = DeskExitActivities(tools=tools, floor=floor, watch=watch)
    runs = RowRunActivities(tools=tools, floor=floor)
    day = RowTradingDayActivities(
        database=database, instruments=instruments, calendar=calendar, lead=settings.lead, workflow_id=strategy_workflow_id
    )
    reconciliation = BrokerReconciliationActivities(tools=tools, calendar=calendar)
    playing = ApartPlaygroundActivities(database=database, calendar=ExchangeCalendar(settings), clock=clock)
    activities: list[Callable[..., Any]] = [
        entry.arm_entry,
        entry.enter,
        leaving.leave,
        runs.begin,
        runs.change,
        runs.finish,
        day.prepare_runs,
        reconciliation.reconcile,
        playing.reckon,
        playing.end_playing,
    ]
    return TradingRoom(tools, floor, watch, activities)
