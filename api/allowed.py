"""Which methods an address has, over all routers: what a 405 must list."""

import re
from functools import lru_cache

from fastapi import FastAPI


def allowed_methods(app: FastAPI, path: str) -> str:
    """`DELETE, GET`; empty when the address is not in the document."""
    found = {method for pattern, methods in _addresses(app) if pattern.fullmatch(path) for method in methods}
    return ", ".join(sorted(found))


@lru_cache(maxsize=4)
def _addresses(app: FastAPI) -> tuple[tuple[re.Pattern[str], tuple[str, ...]], ...]:
    return tuple(
        (re.compile(re.sub(r"\\\{[^}]+\\\}", "[^/]+", re.escape(path))), tuple(method.upper() for method in methods))
        for path, methods in app.openapi()["paths"].items()
    )
