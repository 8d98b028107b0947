"""An answer before it is on the wire, and a refusal as something to raise."""

import gzip
from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from aiohttp import web

_WORTH_COMPRESSING = 1_024
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer before it is put on the wire."""

    body: bytes
    status: int = 200
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)

    def to_response(self, request: web.Request) -> web.Response:
        """The answer for this request, gzipped where the client takes it and it is worth it."""
        body, headers = self.body, self.headers
        if len(body) >= _WORTH_COMPRESSING and "gzip" in request.headers.get("Accept-Encoding", ""):
            body = gzip.compress(body, compresslevel=1)
            headers = {**headers, "Content-Encoding": "gzip"}
        return web.Response(body=body, status=self.status, content_type=self.content_type, headers=headers)


class WireError(Exception, ABC):
    """A refusal in a dialect's own form."""

    @property
    @abstractmethod
    def words(self) -> str:
        """What the exchange's own log says of it."""

    @abstractmethod
    def reply(self) -> Reply:
        """The answer the client gets."""
