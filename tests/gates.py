"""A gate between our processes and a server: it can be shut, and opened again, as if the server went away and came back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

_CHUNK = 64 * 1024


@dataclass(eq=False)
class _Passage:
    """One connection of a client, and the one behind it."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    is_stranded: bool = False

    def break_off(self) -> None:
        self.client.transport.abort()
        self.server.transport.abort()


@dataclass
class Gate:
    """Listens on loopback and passes everything on to `target`: a socket file, or host:port."""

    target: str
    port: int = 0
    is_open: bool = True
    _passages: set[_Passage] = field(default_factory=set)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def shut(self) -> None:
        """Gone: every connection breaks, and new ones break at once."""
        self.is_open = False
        for passage in list(self._passages):
            passage.break_off()

    def open(self) -> None:
        self.is_open = True

    def strand(self) -> None:
        """Failed over without a word: connections that exist never answer again and never end; new ones work."""
        for passage in self._passages:
            passage.is_stranded = True

    async def pass_through(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.is_open:
            writer.transport.abort()
            return
        try:
            behind_reader, behind_writer = await self._connect()
        except OSError:
            writer.transport.abort()
            return
        passage = _Passage(writer, behind_writer)
        self._passages.add(passage)
        if not self.is_open:
            passage.break_off()
        try:
            await asyncio.gather(_pump(passage, reader, behind_writer), _pump(passage, behind_reader, writer))
        finally:
            passage.break_off()
            self._passages.discard(passage)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self.target.startswith("/"):
            return await asyncio.open_unix_connection(self.target)
        host, port = self.target.rsplit(":", 1)
        return await asyncio.open_connection(host, int(port))


async def _pump(passage: _Passage, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(_CHUNK):
            if passage.is_stranded:
                continue
            writer.write(data)
            await writer.drain()
    if not passage.is_stranded:
        passage.break_off()


@asynccontextmanager
async def gate_to(target: str) -> AsyncIterator[Gate]:
    gate = Gate(target)
    server = await asyncio.start_server(gate.pass_through, "127.0.0.1", 0)
    gate.port = server.sockets[0].getsockname()[1]
    try:
        yield gate
    finally:
        server.close()
        gate.shut()


@asynccontextmanager
async def gate_to_postgres(database_url: str, sockets: Path) -> AsyncIterator[tuple[Gate, str]]:
    """The gate, and the URL of the same database through it."""
    async with gate_to(str(sockets / ".s.PGSQL.5432")) as gate:
        name = urlsplit(database_url).path.lstrip("/")
        yield gate, f"postgresql+asyncpg://postgres@{gate.address}/{name}"


@asynccontextmanager
async def gate_to_redis(redis_url: str) -> AsyncIterator[tuple[Gate, str]]:
    async with gate_to(urlsplit(redis_url).path) as gate:
        yield gate, f"redis://{gate.address}/0"
