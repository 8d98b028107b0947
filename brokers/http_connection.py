"""One HTTP/1.1 connection as orders need it: a request leaves in one piece, and its answer is either complete or none.

The bytes are parsed by httptools (llhttp). What a message is, and where it ends: RFC 9112, sections 6 and 9.
"""

import asyncio
import time
from dataclasses import dataclass, field
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser


class ConnectionBroken(Exception):
    """The connection ended, or what came over it is no answer."""


@dataclass(slots=True)
class Message:
    """What has come of an answer so far. Header names are lower case; of one that comes twice the last counts."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    has_head: bool = False

    @property
    def ends_with_the_connection(self) -> bool:
        return self.has_head and "content-length" not in self.headers and "transfer-encoding" not in self.headers


class HttpConnection(asyncio.Protocol):
    """Carries one request at a time. Whatever is unexpected ends it: a connection that has once been odd carries no order."""

    def __init__(self) -> None:
        self.opened_at = time.monotonic()
        self._parser = HttpResponseParser(self)
        self._message = Message()
        self._answer: asyncio.Future[Message] | None = None
        self._way: asyncio.Transport | None = None
        self._may_go_on = True

    @property
    def is_usable(self) -> bool:
        """Whether the next request may be sent over it."""
        return self._way is not None and not self._way.is_closing() and self._may_go_on and self._answer is None

    def send(self, request: bytes) -> "asyncio.Future[Message]":
        """Write the whole request now, without waiting for anything; the future brings the answer, or raises ConnectionBroken.

        A caller that gives up waiting closes the connection.
        """
        if self._way is None or not self.is_usable:
            raise ConnectionBroken("the connection cannot be written to")
        self._answer = asyncio.get_running_loop().create_future()
        self._way.write(request)
        return self._answer

    def close(self) -> None:
        if self._way is not None:
            self._way.abort()

    # What the event loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._way = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._answer is None:
            # Nobody asked: such as a gateway's "408 Request Timeout" to a connection that idles.
            self._may_go_on = False
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._break(f"not an answer: {type(error).__name__}")

    def eof_received(self) -> None:
        """The other side has said its last word; None closes our side as well."""
        self._may_go_on = False
        if self._answer is not None and self._message.ends_with_the_connection:
            self._finish()

    def connection_lost(self, _: Exception | None) -> None:
        self._break("the connection broke before an answer came")
        # Both hold this object as well: it is freed at once now, not when somebody searches for cycles. Neither is asked again:
        # what cannot be written to is sent nothing.
        self._way = None
        del self._parser

    # What the parser tells.

    def on_message_begin(self) -> None:
        if self._answer is None:
            # A second answer to one request: whose is the next?
            self._may_go_on = False
        self._message = Message()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._message.headers[name.decode("latin-1").lower()] = value.decode("utf-8", "surrogateescape")

    def on_headers_complete(self) -> None:
        self._message.status = self._parser.get_status_code()
        self._message.has_head = True

    def on_body(self, part: bytes) -> None:
        self._message.body += part

    def on_message_complete(self) -> None:
        if self._message.status < 200:
            return  # "100 Continue" and its like: the answer is still to come
        is_sent = self._way is not None and self._way.get_write_buffer_size() == 0
        if not is_sent or not self._parser.should_keep_alive():
            # Answered before all of the request was read: what of it is still to come would be taken for the next one.
            self._may_go_on = False
        self._finish()

    def _finish(self) -> None:
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_result(self._message)

    def _break(self, why: str) -> None:
        self._may_go_on = False
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_exception(ConnectionBroken(why))
        self.close()
