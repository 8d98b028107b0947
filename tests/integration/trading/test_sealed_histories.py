"""A day whose histories are sealed: worker, starter, signals and guard share the keys, and the keys change in its middle."""

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest
from temporalio.worker import Replayer

from execution.tasks import end
from runtime import temporal
from runtime.payloads import ENCODING, data_converter
from runtime.settings import Settings
from runtime.temporal_worker import WORKFLOWS
from tests.integration.trading.world import World, trading_world
from tests.replay.histories import fields
from trading.runs import EndReason

KEYS = {name: f"{name}:{base64.b64encode(name.encode() * 16).decode()}" for name in ("k1", "k2")}


def sealing(temporal_address: str, *names: str) -> Settings:
    keys = ",".join(KEYS[name] for name in names)
    return Settings(_env_file=None, temporal_address=temporal_address, temporal_payloads="sealed", aes_master_keys=keys)


@pytest.fixture
async def world(database_url: str, redis_url: str, temporal_address: str, task_queue: str) -> AsyncIterator[World]:
    """The worker has both keys; whoever starts runs has only the old one yet."""
    client = await temporal.connect(sealing(temporal_address, "k2", "k1"))
    async with trading_world(database_url=database_url, redis_url=redis_url, client=client, task_queue=task_queue) as made:
        made.client = await temporal.connect(sealing(temporal_address, "k1"))
        yield made


async def test_a_run_trades_and_its_history_shows_nothing_of_it(world: World, temporal_address: str) -> None:
    account = await world.add_account()
    run = await world.start_run(account)
    await world.until_holding(run)
    # From here on everybody has the new key in front.
    world.client = await temporal.connect(sealing(temporal_address, "k2", "k1"))
    await world.cross_stop(run, "3490")
    result = await world.result(run)
    assert result.end_reason is EndReason.STOP_LOSS, await world.timeline(run.id)
    assert world.sides() == ["BUY", "SELL"]

    history = await world.workflow(run).fetch_history()
    recorded = history.to_json_dict()
    assert keys_of(recorded) == {"k1", "k2"}, "what was started with the old key went on with the new one"
    assert sealed_of(recorded) > 10
    plain = [text for text in shown_by(without_search_attributes(recorded)) if "TCS" in text or "3490" in text]
    assert plain == []
    for payload in payloads_of(recorded):
        assert base64.b64decode(payload["metadata"]["encoding"]) == ENCODING, payload
    both = data_converter(sealing(temporal_address, "k2", "k1"))
    await Replayer(workflows=WORKFLOWS, data_converter=both).replay_workflow(history)


async def test_the_guard_reads_and_replaces_a_run_under_seal(world: World, temporal_address: str) -> None:
    world.client = await temporal.connect(sealing(temporal_address, "k2", "k1"))
    account = await world.add_account()
    run = await world.start_run(account)
    await world.until_holding(run)
    await world.workflow(run).terminate("lost")

    async def taken_over() -> bool:
        return any(line.startswith("taken_over") for line in await world.timeline(run.id))

    guarding = asyncio.create_task(world.guard().run())
    try:
        async with asyncio.timeout(60):
            while not await taken_over():
                await asyncio.sleep(0.1)
    finally:
        await end([guarding])
    await world.cross_stop(run, "3490")
    assert (await world.result(run)).end_reason is EndReason.STOP_LOSS


def shown_by(recorded: Any) -> list[str]:
    """Every text but instants, whose digits may be any, and payloads as the bytes they are: in base64, letters may be
    any as well."""
    texts = [(name, text) for name, text in fields(recorded) if not name.endswith("Time")]
    return [base64.b64decode(text).decode("latin-1") if name == "data" else text for name, text in texts]


def payloads_of(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        if "metadata" in value and "encoding" in value["metadata"]:
            return [value]
        return [found for inner in without_search_attributes(value).values() for found in payloads_of(inner)]
    return [found for inner in value for found in payloads_of(inner)] if isinstance(value, list) else []


def without_search_attributes(value: Any) -> Any:
    """Temporal reads those itself: they are never sealed, and docs/security.md says so."""
    if isinstance(value, dict):
        return {name: without_search_attributes(inner) for name, inner in value.items() if name != "searchAttributes"}
    return [without_search_attributes(inner) for inner in value] if isinstance(value, list) else value


def keys_of(recorded: Any) -> set[str]:
    return {base64.b64decode(payload["metadata"]["key-id"]).decode() for payload in payloads_of(recorded)}


def sealed_of(recorded: Any) -> int:
    return len(payloads_of(recorded))
