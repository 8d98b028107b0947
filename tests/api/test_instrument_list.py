import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from execution.tasks import end
from runtime.instruments import InstrumentDirectory, InstrumentsNotLoaded, load_master, store_list
from runtime.instruments_job import InstrumentJob, is_due
from storage.database import Database
from tests.waiting import eventually
from trading.accounts import BrokerName
from trading.instruments import Instrument, InstrumentId, Segment
from trading.ports.broker import BrokerUnavailable, ListedInstrument

NOW = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
TCS = InstrumentId("NSE", "TCS")


class HeldClock:
    def __init__(self, now: datetime = NOW) -> None:
        self.at = now

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()


class ListMaster:
    def __init__(self, *listed: ListedInstrument, name: BrokerName = BrokerName.ZERODHA) -> None:
        self.name = name
        self.listed = listed
        self.down = False
        self.reads = 0

    async def instruments(self) -> tuple[ListedInstrument, ...]:
        self.reads += 1
        if self.down:
            raise BrokerUnavailable("connection refused")
        return self.listed


def listed(symbol: str, token: str, *, tick: str = "0.05", name: str = "") -> ListedInstrument:
    instrument = Instrument(InstrumentId("NSE", symbol), name, Segment.CASH, Decimal(tick), freeze_quantity=1000)
    return ListedInstrument(instrument, token)


@pytest.fixture
async def database(database_url: str):
    async with Database(database_url) as database:
        yield database


async def test_a_loaded_list_is_found_by_instrument_and_by_token(database: Database) -> None:
    await load_master(database, ListMaster(listed("TCS", "111", tick="0.10", name="TATA")), clock=HeldClock())
    directory = InstrumentDirectory(database)
    assert await directory.refresh()
    found = directory.find(TCS)
    assert found == Instrument(TCS, "TATA", Segment.CASH, Decimal("0.10"), freeze_quantity=1000)
    assert directory.token(BrokerName.ZERODHA, TCS) == "111"
    assert directory.instrument_of(BrokerName.ZERODHA, "111") == TCS
    assert directory.instrument_of(BrokerName.ZERODHA, "112") is None
    assert directory.find(InstrumentId("NSE", "NONE")) is None


async def test_before_any_list_nothing_is_said_about_a_symbol(database: Database) -> None:
    directory = InstrumentDirectory(database)
    assert not await directory.refresh()
    with pytest.raises(InstrumentsNotLoaded):
        directory.find(TCS)


async def test_tomorrows_list_drops_what_it_no_longer_has_and_a_reused_token_means_the_new_one(database: Database) -> None:
    clock = HeldClock()
    await load_master(database, ListMaster(listed("TCS", "1"), listed("OLD", "2")), clock=clock)
    clock.at += timedelta(days=1)
    await load_master(database, ListMaster(listed("TCS", "1", tick="0.10"), listed("NEW", "2")), clock=clock)
    directory = InstrumentDirectory(database)
    await directory.refresh()
    tcs = directory.find(TCS)
    assert tcs is not None
    assert tcs.tick_size == Decimal("0.10")
    assert directory.find(InstrumentId("NSE", "OLD")) is None
    assert directory.instrument_of(BrokerName.ZERODHA, "2") == InstrumentId("NSE", "NEW")


async def test_two_brokers_lists_are_merged(database: Database) -> None:
    await store_list(database, BrokerName.ZERODHA, (listed("TCS", "z1"),), now=NOW)
    await store_list(database, BrokerName.DHAN, (listed("TCS", "d1"),), now=NOW + timedelta(seconds=1))
    directory = InstrumentDirectory(database)
    await directory.refresh()
    assert directory.token(BrokerName.ZERODHA, TCS) == "z1"
    assert directory.token(BrokerName.DHAN, TCS) == "d1"
    assert directory.token(BrokerName.FYERS, TCS) is None


async def test_a_token_of_yesterdays_list_is_forgotten_although_another_broker_still_lists_the_instrument(
    database: Database,
) -> None:
    tomorrow = NOW + timedelta(days=1)
    await store_list(database, BrokerName.ZERODHA, (listed("OLD", "z2"),), now=NOW)
    await store_list(database, BrokerName.ZERODHA, (listed("TCS", "z2"),), now=tomorrow)
    await store_list(database, BrokerName.DHAN, (listed("OLD", "d2"),), now=tomorrow + timedelta(seconds=1))
    directory = InstrumentDirectory(database)
    await directory.refresh()
    assert directory.token(BrokerName.ZERODHA, InstrumentId("NSE", "OLD")) is None
    assert directory.instrument_of(BrokerName.ZERODHA, "z2") == TCS


async def test_a_refresh_without_a_newer_list_changes_nothing(database: Database) -> None:
    await load_master(database, ListMaster(listed("TCS", "1")), clock=HeldClock())
    directory = InstrumentDirectory(database)
    assert await directory.refresh()
    assert not await directory.refresh()


async def test_a_symbol_listed_twice_does_not_break_the_load(database: Database) -> None:
    assert await load_master(database, ListMaster(listed("TCS", "1"), listed("TCS", "2")), clock=HeldClock()) == 2


async def test_an_empty_list_is_a_failed_read(database: Database) -> None:
    with pytest.raises(ValueError, match="empty"):
        await load_master(database, ListMaster(), clock=HeldClock())


async def test_a_list_as_long_as_the_exchanges_is_stored_and_stored_again(database: Database) -> None:
    many = tuple(listed(f"S{number}", str(number)) for number in range(60_000))
    await store_list(database, BrokerName.ZERODHA, many, now=NOW)
    await store_list(database, BrokerName.ZERODHA, many, now=NOW + timedelta(days=1))
    directory = InstrumentDirectory(database)
    await directory.refresh()
    assert directory.count == 60_000


async def test_the_job_reports_a_broker_that_is_away_and_loads_once_it_is_back(database: Database) -> None:
    master = ListMaster(listed("TCS", "1"))
    master.down = True
    directory = InstrumentDirectory(database)
    job = InstrumentJob(database, directory, masters=[master], clock=HeldClock())
    await job.step()
    assert job.report.failures == {BrokerName.ZERODHA: "connection refused"}
    assert directory.count == 0
    master.down = False
    await job.step()
    assert job.report.failures == {}
    assert directory.count == 1


async def test_a_second_process_follows_what_the_first_has_loaded(database: Database) -> None:
    clock = HeldClock()
    first, second = ListMaster(listed("TCS", "1")), ListMaster(listed("TCS", "1"))
    await InstrumentJob(database, InstrumentDirectory(database), masters=[first], clock=clock).step()
    directory = InstrumentDirectory(database)
    await InstrumentJob(database, directory, masters=[second], clock=clock).step()
    assert (second.reads, directory.count) == (0, 1)


async def test_a_process_that_has_one_brokers_list_has_the_next_ones_soon_after_it_is_stored(database: Database) -> None:
    directory = InstrumentDirectory(database)
    following = asyncio.create_task(InstrumentJob(database, directory, masters=(), clock=HeldClock()).run())
    await load_master(database, ListMaster(listed("TCS", "1")), clock=HeldClock())
    await eventually(lambda: directory.count, "the first list is there")
    await load_master(database, ListMaster(listed("TCS", "11"), name=BrokerName.DHAN), clock=HeldClock())
    # Half a minute is the life of an entry.
    await eventually(lambda: directory.token(BrokerName.DHAN, TCS), "the second list is there", deadline_seconds=10)
    await end([following])


async def test_each_broker_has_a_key_of_its_own_for_one_instrument(database: Database) -> None:
    await load_master(database, ListMaster(listed("TCS", "2953217")), clock=HeldClock())
    await load_master(database, ListMaster(listed("TCS", "11536"), name=BrokerName.DHAN), clock=HeldClock())
    directory = InstrumentDirectory(database)
    await directory.refresh()
    assert directory.count == 1
    assert [directory.token(name, TCS) for name in (BrokerName.ZERODHA, BrokerName.DHAN, BrokerName.FYERS)] == [
        "2953217",
        "11536",
        None,
    ]


async def test_a_broker_whose_list_cannot_be_read_this_morning_keeps_yesterdays(database: Database) -> None:
    clock = HeldClock()
    own = InstrumentId("NSE", "ONLYHERE")
    zerodha = ListMaster(listed("TCS", "1"), listed("ONLYHERE", "2"))
    dhan = ListMaster(listed("TCS", "11"), name=BrokerName.DHAN)
    directory = InstrumentDirectory(database)
    job = InstrumentJob(database, directory, masters=[zerodha, dhan], clock=clock)
    await job.step()
    clock.at += timedelta(days=1)
    zerodha.down = True
    await job.step()
    assert job.report.failures == {BrokerName.ZERODHA: "connection refused"}
    assert directory.token(BrokerName.ZERODHA, own) == "2"
    assert directory.find(own) is not None
    zerodha.down, zerodha.listed = False, (listed("TCS", "1"),)
    await job.step()
    assert directory.find(own) is None


async def test_a_process_that_dies_between_two_lists_leaves_the_second_due(database: Database) -> None:
    clock = HeldClock()
    await load_master(database, ListMaster(listed("TCS", "1")), clock=clock)
    zerodha, dhan = ListMaster(listed("TCS", "1")), ListMaster(listed("TCS", "11"), name=BrokerName.DHAN)
    await InstrumentJob(database, InstrumentDirectory(database), masters=[zerodha, dhan], clock=clock).step()
    assert (zerodha.reads, dhan.reads) == (0, 1)


async def test_what_one_list_does_not_say_another_of_the_same_day_has_said(database: Database) -> None:
    clock = HeldClock()
    limits = {"lower_circuit": Decimal(90), "upper_circuit": Decimal(110), "has_derivatives": True}
    told = Instrument(TCS, "TATA", Segment.CASH, Decimal("0.05"), freeze_quantity=500, **limits)
    untold = Instrument(TCS, "TATA", Segment.CASH, Decimal("0.05"))
    first = ListMaster(ListedInstrument(told, "1"))
    second = ListMaster(ListedInstrument(untold, "11"), name=BrokerName.DHAN)
    directory = InstrumentDirectory(database)
    await load_master(database, first, clock=clock)
    await load_master(database, second, clock=clock)
    await directory.refresh()
    assert directory.find(TCS) == told
    clock.at += timedelta(days=1)
    await load_master(database, second, clock=clock)
    await directory.refresh()
    found = directory.find(TCS)
    assert found is not None
    assert (found.lower_circuit, found.upper_circuit, found.has_derivatives) == (None, None, False), (
        "yesterday's limits are not today's"
    )


def india(day: int, hour: int, minute: int) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC) - timedelta(hours=5, minutes=30)


@pytest.mark.parametrize(
    ("loaded", "now", "due"),
    [
        (None, india(20, 12, 0), True),
        (india(20, 8, 0), india(20, 8, 34), False),
        (india(20, 8, 0), india(20, 8, 35), True),
        (india(20, 8, 36), india(20, 23, 59), False),
        (india(20, 8, 36), india(21, 8, 34), False),
        (india(20, 8, 36), india(21, 8, 36), True),
    ],
)
def test_a_list_is_due_at_boot_and_every_morning(loaded: datetime | None, now: datetime, due: bool) -> None:
    assert is_due(loaded, now=now, boot=india(19, 0, 0)) is due


def test_a_list_from_before_this_process_started_is_loaded_again() -> None:
    assert is_due(india(20, 9, 0), now=india(20, 10, 0), boot=india(20, 10, 0))
