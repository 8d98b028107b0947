"""Bodies mean one thing: JSON that names a field twice is refused, because two readers of it would see two different orders."""

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class StrictRequest(Request):
    async def json(self) -> Any:
        """Raises json.JSONDecodeError, also for a field that is named twice."""
        if not hasattr(self, "_strict_json"):
            self._strict_json = json.loads(await self.body(), object_pairs_hook=_named_once)
        return self._strict_json


class StrictRoute(APIRoute):
    """Every route with a JSON body is one (tests/api/test_bad_input.py)."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def strictly(request: Request) -> Response:
            # One whose body was read already is not wrapped again: the body would be gone.
            return await handle(request if isinstance(request, StrictRequest) else StrictRequest(request.scope, request.receive))

        return strictly


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    named = dict(pairs)
    if len(named) != len(pairs):
        raise json.JSONDecodeError("a field is named twice", "", 0)
    return named
