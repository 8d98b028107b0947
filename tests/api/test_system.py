"""The installation as Admins see it, and series for charts."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from api import series
from api.schemas.system import SeriesName
from api.series import percentile, span_of
from brokers.calls import Call, CallOutcome
from cache.heartbeats import LISTENER, WORKER_PREFIX, beat
from runtime.log_book import LogBook
from runtime.metrics import LATENCY_BUCKETS, PrometheusMetrics
from runtime.records import Records
from runtime.sampling import Sampler
from runtime.upkeep import KEEP_MEASUREMENTS, Upkeep
from runtime.version import VERSION
from storage.ids import id_at
from storage.models import OrderLog
from storage.repositories import measurements
from tests.api.conftest import Platform, make_settings
from tests.api.rows import add_run
from tests.api.test_admin import as_admin

MINUTE = timedelta(minutes=1)


async def test_each_part_of_the_system_is_shown(platform: Platform) -> None:
    admin, user = await as_admin(platform), await platform.user()
    broker_id = await platform.connect(user)
    run = await add_run(platform, user, broker_id)
    async with platform.services.database.transaction() as session:
        for number, seconds_ago in enumerate((5, 20, 70, 90_000)):
            made = id_at("log", platform.clock.now() - timedelta(seconds=seconds_ago))
            line = OrderLog(order_id="ord_x", account_id=broker_id, user_id=run.user_id, what="place")
            line.id = f"{made[:-1]}{number}"
            session.add(line)
    redis = platform.services.redis
    await beat(redis, f"{WORKER_PREFIX}w1", {"desks": 3, "version": VERSION})
    await beat(redis, LISTENER, {"name": "l1", "version": VERSION, "connected": True, "healthy": False, "feed_age_ms": 7_000})
    answer = await admin.get("/admin/system")
    shown = [(process["kind"], process["name"], process["version"]) for process in answer["processes"]]
    assert shown == [("listener", "l1", VERSION), ("worker", "w1", VERSION)]
    assert (answer["feed"]["is_connected"], answer["feed"]["is_healthy"], answer["feed"]["age_ms"]) == (True, False, 7_000.0)
    assert answer["postgres"]["connections"] >= 1
    assert answer["redis"]["used_memory_bytes"] > 0
    assert answer["task_queues"] is None, "Temporal is away: unknown is not zero"
    assert answer["leases"] == {"by_owner": {}, "expired": 0}
    (budget,) = answer["budgets"]
    used = {rate["seconds"]: rate["used"] for rate in budget["rates"]}
    assert (budget["account_id"], used[1], used[60], used[86_400]) == (broker_id, 0, 2, 3)


async def test_the_task_queue_is_shown_with_what_waits_in_it(trading: Platform) -> None:
    """Nobody polls it, so the task of a started workflow waits."""
    admin, user = await as_admin(trading), await trading.user()
    await trading.connect(user)
    await user.post(f"/strategy/start/{await user.create()}")
    queues = (await admin.get("/admin/system"))["task_queues"]
    assert [(queue["kind"], queue["pollers"]) for queue in queues] == [("workflow", []), ("activity", [])]
    assert {queue["name"] for queue in queues} == {trading.services.settings.task_queue}


# --- series ------------------------------------------------------------------------------------------------------------


async def measure(platform: Platform, metrics: PrometheusMetrics, *, process: str, minutes_ago: int) -> Sampler:
    sampler = Sampler(PrometheusMetrics(), platform.clock, process=process)
    sampler._metrics = metrics
    await sampler.sample(platform.services.database, minute=platform.clock.now().replace(second=0) - minutes_ago * MINUTE)
    return sampler


async def test_what_all_processes_measured_is_summed_minute_by_minute(platform: Platform) -> None:
    admin = await as_admin(platform)
    for process, minutes_ago, orders in (("w1", 1, 3), ("w2", 1, 4), ("w1", 3, 5)):
        metrics = PrometheusMetrics()
        metrics.count("orders_sent", orders, leg="entry", outcome="placed", fired_by="desk")
        metrics.count("orders_sent", 1, leg="exit", outcome="refused", fired_by="desk")
        metrics.count("ticks", 100)
        metrics.observe("order_lateness_seconds", 0.003, leg="entry")
        await measure(platform, metrics, process=process, minutes_ago=minutes_ago)
    answer = await admin.get("/admin/system/metrics", params={"minutes": 4, "step_minutes": 1})
    found = {one["name"]: one["points"] for one in answer["series"]}
    assert set(found) == {name.value for name in SeriesName}
    assert [point["value"] for point in found["orders"]] == [0, 6, 0, 9]
    assert [point["value"] for point in found["orders_refused"]] == [0, 1, 0, 2]
    assert [point["value"] for point in found["ticks"]] == [0, 100, 0, 200]
    assert [point["count"] for point in found["order_lateness"]] == [0, 1, 0, 2]
    assert found["order_lateness"][0]["p50"] is None
    assert 0.002 <= found["order_lateness"][3]["p50"] <= 0.005
    coarse = await admin.get("/admin/system/metrics", params={"minutes": 4, "step_minutes": 2, "name": ["ticks"]})
    assert [(one["name"], [point["value"] for point in one["points"]]) for one in coarse["series"]] == [("ticks", [100, 200])]
    await admin.refused("GET", "/admin/system/metrics", 400, "INVALID_VALUE", params={"name": "unheard_of"})


class Away:
    """A database that does not answer."""

    def unhurried(self) -> None:
        raise OSError("no database")


async def test_a_sample_holds_what_changed_since_the_one_that_was_kept_last(platform: Platform) -> None:
    metrics = PrometheusMetrics()
    metrics.count("ticks", 5)
    sampler = Sampler(metrics, platform.clock, process="w1")
    first = platform.clock.now().replace(second=0)
    database = platform.services.database
    metrics.count("ticks", 2)
    with pytest.raises(OSError, match="no database"):
        await sampler.sample(Away(), minute=first)  # type: ignore[arg-type]
    for number in range(1, 3):
        await sampler.sample(database, minute=first + number * MINUTE)
    metrics.count("ticks", 1)
    await sampler.sample(database, minute=first + 3 * MINUTE)
    async with database.transaction() as session:
        rows = await measurements.read(session, "ticks", from_at=first, to_at=first + 4 * MINUTE)
    assert [(row.minute - first, row.value) for row in rows] == [(MINUTE, [[{}, 2.0]]), (3 * MINUTE, [[{}, 1.0]])]


def test_percentiles_come_from_the_buckets() -> None:
    assert percentile([0] * 15, 0.99) is None
    assert percentile([10] + [0] * 14, 0.5) == pytest.approx(LATENCY_BUCKETS[0] / 2)
    assert percentile([99, 1] + [0] * 13, 0.5) is not None
    assert percentile([0] * 14 + [1], 0.5) == LATENCY_BUCKETS[-1], "beyond the last bound nothing more is known"
    metrics = PrometheusMetrics()
    for _ in range(99):
        metrics.observe("stop_latency_seconds", 0.0015)
    metrics.observe("stop_latency_seconds", 3.0)
    ((_, reading),) = metrics.readings("stop_latency_seconds")
    assert (reading.value, sum(reading.buckets), len(reading.buckets)) == (100, 100, len(LATENCY_BUCKETS) + 1)
    p50, p995 = percentile(reading.buckets, 0.5), percentile(reading.buckets, 0.995)
    assert p50 is not None
    assert p995 is not None
    assert 0.001 < p50 < 0.002
    assert 2.0 < p995 <= 5.0


@pytest.mark.parametrize(("minutes", "step"), [(1, None), (60, None), (20_160, None), (20_160, 1), (1, 1_440)])
def test_a_span_ends_with_the_last_whole_minute_and_has_a_chartful_of_points(minutes: int, step: int | None) -> None:
    now = datetime(2026, 11, 20, 9, 20, 41, 5, tzinfo=UTC)
    span = span_of(now, minutes=minutes, step_minutes=step)
    assert span.to_at == datetime(2026, 11, 20, 9, 20, tzinfo=UTC)
    assert 1 <= len(span.starts) <= series.MOST_POINTS
    assert span.index(span.to_at - MINUTE) == len(span.starts) - 1


async def test_what_was_kept_long_enough_is_removed(platform: Platform) -> None:
    metrics = PrometheusMetrics()
    metrics.count("ticks")
    old = platform.clock.now() - KEEP_MEASUREMENTS
    for minute in (old - MINUTE, old + MINUTE):
        async with platform.services.database.transaction() as session:
            await measurements.keep(session, process="w1", minute=minute, measured={"ticks": [[{}, 1]]})
    await Upkeep(platform.services.database, platform.clock).round()
    async with platform.services.database.transaction() as session:
        rows = await measurements.read(session, "ticks", from_at=old - MINUTE, to_at=platform.clock.now())
    assert [row.minute for row in rows] == [old + MINUTE]


# --- logs --------------------------------------------------------------------------------------------------------------


def call(outcome: CallOutcome, *, path: str = "/orders/regular/2611", why: str = "") -> Call:
    return Call("http://broker", "brk_1", "PUT", path, outcome, 503 if not why else None, 0.25, why)


def recent() -> dict[str, str]:
    """Ids carry the machine's own time, whatever the platform's clock is held at."""
    now = datetime.now(UTC)
    return {"from": (now - timedelta(minutes=5)).isoformat(), "to": (now + timedelta(minutes=5)).isoformat()}


async def test_errors_and_failed_calls_are_found_by_time_and_text(platform: Platform) -> None:
    admin = await as_admin(platform)
    book = LogBook("worker-1")
    book.keep_event(None, "", {"event": "outcome_not_stored", "level": "error", "order_id": "ord_7", "odd": object()})
    book.keep_event(None, "", {"event": "quiet", "level": "info"})
    book.keep_event(None, "", {"event": "half \ud800 and nul \0", "level": "warning", "exception": "Traceback: it broke"})
    book.keep_call(call(CallOutcome.OK))
    book.keep_call(call(CallOutcome.BROKER_ERROR))
    book.keep_call(call(CallOutcome.NO_ANSWER, why="timed out"))
    assert await book.flush(platform.services.database) == 4
    lines = (await admin.get("/admin/logs", params=recent()))["items"]
    assert [(line["level"], line["event"], line["message"]) for line in lines] == [
        ("warning", "half ? and nul ", "Traceback: it broke"),
        ("error", "outcome_not_stored", ""),
    ]
    calls = (await admin.get("/admin/logs", params={"log": "broker", **recent()}))["items"]
    assert [(line["event"], line["account_id"], line["data"]["outcome"]) for line in calls] == [
        ("PUT /orders/regular/2611", "brk_1", "no_answer"),
        ("PUT /orders/regular/2611", "brk_1", "broker_error"),
    ]
    for text, found in (("ORD_7", 1), ("traceback", 1), ("worker-1", 2), ("%", 0)):
        assert len((await admin.get("/admin/logs", params={"query": text, **recent()}))["items"]) == found, text
    first = await admin.get("/admin/logs", params={"limit": 1, **recent()})
    rest = await admin.get("/admin/logs", params={"limit": 1, "cursor": first["next_cursor"], **recent()})
    assert [first["items"][0], rest["items"][0], rest["next_cursor"]] == [*lines, None]
    long_ago = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}
    assert (await admin.get("/admin/logs", params=long_ago))["items"] == []


async def test_the_order_log_and_the_timelines_are_searched_as_well(platform: Platform) -> None:
    admin, user = await as_admin(platform), await platform.user()
    broker_id = await platform.connect(user)
    run = await add_run(platform, user, broker_id)
    async with platform.services.database.transaction() as session:
        for outcome, more in (("placed", {"broker_order_id": "26110001"}), ("refused", {"message": "Insufficient funds"})):
            line = OrderLog(order_id="ord_x", account_id=broker_id, user_id=user.user_id, what="place")
            line.request, line.answer = {"tag": "t1"}, {"outcome": outcome, **more}
            session.add(line)
    lines = (await admin.get("/admin/logs", params={"log": "orders", **recent()}))["items"]
    assert [(line["level"], line["message"]) for line in lines] == [
        ("warning", "refused: Insufficient funds"),
        ("info", "placed"),
    ]
    for text, found in (("insufficient", 1), ("26110001", 1), ("ord_x", 2), ("nothing of it", 0)):
        asked = {"log": "orders", "query": text, **recent()}
        assert len((await admin.get("/admin/logs", params=asked))["items"]) == found, text
    await user.post(f"/strategy/stop/{run.strategy_id}")
    told = (await admin.get("/admin/logs", params={"log": "runs", "query": run.id, **recent()}))["items"]
    assert [line["message"] for line in told] == ["You asked to stop and sell"]
    wrong = {"log": "orders", "cursor": run.id}
    await admin.refused("GET", "/admin/logs", 400, "INVALID_CURSOR", params=wrong)


async def test_a_full_book_forgets_the_oldest_and_a_failed_write_loses_nothing(platform: Platform) -> None:
    book = LogBook("w")
    for number in range(2_005):
        book.keep_event(None, "", {"event": f"e{number}", "level": "error"})
    with pytest.raises(OSError, match="no database"):
        await book.flush(Away())  # type: ignore[arg-type]
    assert await book.flush(platform.services.database) == 2_000
    admin = await as_admin(platform)
    newest = (await admin.get("/admin/logs", params={"limit": 1, **recent()}))["items"]
    assert newest[0]["event"] == "e2004"
    assert (await admin.get("/admin/logs", params={"query": "e4", "limit": 1, **recent()}))["items"][0]["event"] != "e4"


# --- a broker's staff ----------------------------------------------------------------------------------------------------


async def test_calls_are_counted_by_broker_and_its_staff_sees_only_its_own(platform: Platform) -> None:
    admin = await as_admin(platform)
    settings = make_settings("", "", zerodha_api_url="http://broker/")
    records = Records(settings, kind="worker")
    for outcome in (CallOutcome.OK, CallOutcome.OK, CallOutcome.BROKER_ERROR, CallOutcome.NOT_SENT):
        records.note_call(call(outcome))
    elsewhere = Call("http://elsewhere", "", "GET", "/", CallOutcome.BROKER_ERROR, 500, 0.1)
    records.note_call(elsewhere)
    await measure(platform, records.metrics, process="w1", minutes_ago=1)
    answer = await admin.get("/broker/stats/health", params={"minutes": 2, "step_minutes": 1})
    found = {one["name"]: [point["value"] for point in one["points"]] for one in answer["series"]}
    assert (found["broker_calls"], found["broker_errors"]) == ([0, 4], [0, 1])
    latency = next(one for one in answer["series"] if one["name"] == "broker_latency")
    assert latency["points"][1]["count"] == 4
    assert Decimal("0.2") <= Decimal(str(latency["points"][1]["p50"])) <= Decimal("0.5")
    staff = await platform.user()
    change = {"role": "Broker", "broker": "dhan"}
    await admin.call("PATCH", f"/admin/users/{staff.user_id}", json=change, expect=200)
    own = await staff.get("/broker/stats/health", params={"minutes": 2, "step_minutes": 1})
    assert (own["broker"], [point["value"] for point in own["series"][0]["points"]]) == ("dhan", [0, 0])
    await staff.refused("GET", "/broker/stats/health", 403, "FORBIDDEN", params={"broker": "zerodha"})
