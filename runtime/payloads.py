"""How what workflows, activities, signals and failures carry is written into Temporal's histories.

Histories hold ids, prices and quantities, never secrets, so sealing them is a choice (`TEMPORAL_PAYLOADS`): whoever can read
Temporal's database or its Web UI then sees that a run lives, and not what it trades. Workflow ids and search attributes stay
readable: Temporal itself needs them.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import PydanticJSONPlainPayloadConverter, pydantic_data_converter
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    DefaultPayloadConverter,
    JSONPlainPayloadConverter,
    PayloadCodec,
)

from runtime.crypto import KeyRing
from runtime.settings import Settings

ENCODING = b"binary/encrypted"
_ENCODING, _KEY = "encoding", "key-id"
_BOUND_TO = "temporal-payload"


@lru_cache(maxsize=256)
def _adapter_of(type_hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(type_hint)


class _SharedAdapters(PydanticJSONPlainPayloadConverter):
    """Temporal makes a converter for each workflow. With adapters of its own, a run that waits kept 35 KB of them, and took a
    millisecond and a half of the worker's core to make those it met."""

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        return _adapter_of(Any if type_hint is None else type_hint).validate_json(payload.data)


class PayloadConverter(CompositePayloadConverter):
    """As `temporalio.contrib.pydantic`'s, which reads and writes the same bytes."""

    def __init__(self) -> None:
        usual = DefaultPayloadConverter.default_encoding_payload_converters
        shared = _SharedAdapters()
        super().__init__(*(shared if isinstance(each, JSONPlainPayloadConverter) else each for each in usual))


_PLAIN = replace(pydantic_data_converter, payload_converter_class=PayloadConverter)


def data_converter(settings: Settings) -> DataConverter:
    """Raises ValueError when payloads are to be sealed and `AES_MASTER_KEYS` is missing or malformed."""
    if settings.temporal_payloads == "plain":
        return _PLAIN
    codec = SealedPayloads(
        KeyRing.parse(settings.aes_master_keys.get_secret_value()), seals=settings.temporal_payloads == "sealed"
    )
    if not codec.seals:
        return replace(_PLAIN, payload_codec=codec)
    # The messages of failures may name a symbol or a broker's words: they travel as payloads then.
    return replace(_PLAIN, payload_codec=codec, failure_converter_class=DefaultFailureConverterWithEncodedAttributes)


class SealedPayloads(PayloadCodec):
    """AES-256-GCM with the ring's first key; every key of the ring opens. What was never sealed passes through."""

    def __init__(self, ring: KeyRing, *, seals: bool = True) -> None:
        self._ring = ring
        self.seals = seals

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [self._sealed(payload) for payload in payloads] if self.seals else list(payloads)

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Raises SealBroken: a task that meets it fails and is tried again, until somebody gives the process the right keys."""
        return [self._opened(payload) for payload in payloads]

    def _sealed(self, payload: Payload) -> Payload:
        key_id, sealed = self._ring.seal_bytes(payload.SerializeToString(), bound_to=_BOUND_TO)
        return Payload(metadata={_ENCODING: ENCODING, _KEY: key_id.encode()}, data=sealed)

    def _opened(self, payload: Payload) -> Payload:
        if payload.metadata.get(_ENCODING) != ENCODING:
            return payload
        key_id = payload.metadata.get(_KEY, b"").decode(errors="replace")
        return Payload.FromString(self._ring.open_bytes(key_id, payload.data, bound_to=_BOUND_TO))
