"""Payloads of Temporal under seal: the right keys open them, everything else is refused or left alone."""

import base64
import gc
from dataclasses import dataclass
from decimal import Decimal

import pytest
from pydantic import TypeAdapter
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError

from runtime.payloads import ENCODING, data_converter
from runtime.settings import Settings
from trading.ports.sealing import SealBroken


@dataclass(frozen=True, slots=True)
class Plan:
    symbol: str
    stop_loss: Decimal


PLAN = Plan("RELIANCE", Decimal("2890.55"))


def key(key_id: str) -> str:
    return f"{key_id}:{base64.b64encode((key_id * 32)[:32].encode()).decode()}"


def settings(payloads: str, *key_ids: str) -> Settings:
    return Settings(_env_file=None, temporal_payloads=payloads, aes_master_keys=",".join(key(one) for one in key_ids))


async def sealed(*key_ids: str) -> list[Payload]:
    return await data_converter(settings("sealed", *key_ids)).encode([PLAN])


async def test_what_is_not_sealed_is_written_and_read_as_everybody_s_tools_do() -> None:
    ours, usual = data_converter(settings("plain")), pydantic_data_converter
    payloads = await ours.encode([PLAN, None, b"bytes", {"quantity": 5}])
    assert payloads == await usual.encode([PLAN, None, b"bytes", {"quantity": 5}])
    assert await ours.decode(payloads, [Plan, None, bytes, dict[str, int]]) == [PLAN, None, b"bytes", {"quantity": 5}]
    with pytest.raises(ValueError, match="stop_loss"):
        await ours.decode(await usual.encode([{"symbol": "TCS", "stop_loss": "much"}]), [Plan])


def test_a_converter_for_each_workflow_makes_no_adapter_anew() -> None:
    convert = data_converter(settings("plain"))
    (payload,) = convert.payload_converter.to_payloads([PLAN])
    convert.payload_converter.from_payloads([payload], [Plan])
    gc.collect()
    before = sum(isinstance(each, TypeAdapter) for each in gc.get_objects())
    others = [convert.payload_converter_class() for _ in range(20)]
    assert [other.from_payloads([payload], [Plan]) for other in others] == [[PLAN]] * 20
    assert sum(isinstance(each, TypeAdapter) for each in gc.get_objects()) == before


async def test_what_was_sealed_shows_nothing_and_opens_again() -> None:
    payloads = await sealed("k1")
    assert b"RELIANCE" not in payloads[0].SerializeToString()
    assert payloads[0].metadata["encoding"] == ENCODING
    assert await data_converter(settings("sealed", "k1")).decode(payloads, [Plan]) == [PLAN]


async def test_the_same_is_never_sealed_alike() -> None:
    assert (await sealed("k1"))[0].data != (await sealed("k1"))[0].data


async def test_a_new_key_in_front_seals_and_the_old_one_still_opens() -> None:
    old, new = await sealed("k1"), await sealed("k2", "k1")
    assert [one[0].metadata["key-id"] for one in (old, new)] == [b"k1", b"k2"]
    both = data_converter(settings("sealed", "k2", "k1"))
    assert await both.decode([*old, *new], [Plan, Plan]) == [PLAN, PLAN]


async def test_a_key_that_is_missing_and_a_changed_byte_are_refused() -> None:
    (payload,) = await sealed("k1")
    with pytest.raises(SealBroken, match="not in the ring"):
        await data_converter(settings("sealed", "k2")).decode([payload])
    changed = Payload(metadata=payload.metadata, data=payload.data[:-1] + bytes([payload.data[-1] ^ 1]))
    for broken in (changed, Payload(metadata=payload.metadata, data=b"short")):
        with pytest.raises(SealBroken, match="does not open"):
            await data_converter(settings("sealed", "k1")).decode([broken])


async def test_histories_from_before_it_was_switched_on_are_read() -> None:
    plain = await data_converter(settings("plain")).encode([PLAN])
    assert b"RELIANCE" in plain[0].data
    assert await data_converter(settings("sealed", "k1")).decode(plain, [Plan]) == [PLAN]


async def test_after_it_was_switched_off_again_old_histories_are_read_and_new_ones_plain() -> None:
    opened = data_converter(settings("opened", "k1"))
    assert await opened.decode(await sealed("k1"), [Plan]) == [PLAN]
    assert b"RELIANCE" in (await opened.encode([PLAN]))[0].data


async def test_the_words_of_a_failure_are_sealed_with_it() -> None:
    converter = data_converter(settings("sealed", "k1"))
    failure = Failure()
    await converter.encode_failure(ApplicationError("RELIANCE is suspended", "RELIANCE"), failure)
    assert b"RELIANCE" not in failure.SerializeToString()
    read = await data_converter(settings("opened", "k1")).decode_failure(failure)
    assert isinstance(read, ApplicationError)
    assert (read.message, list(read.details)) == ("RELIANCE is suspended", ["RELIANCE"])


def test_sealing_without_a_key_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="AES_MASTER_KEYS is empty"):
        data_converter(settings("sealed"))
