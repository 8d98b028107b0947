"""Which methods an address has, over all routers: what a 405 must list."""

import re
from functools import lru_cache

from fastapi import FastAPI


def allowed_methods(app: FastAPI, path: str) -> str:
    """`DELETE, GET`; empty when the address is not in the document."""
    fitting = [(address, methods) for address, pattern, methods in _addresses(app) if pattern.fullmatch(path)]
    # A fixed word comes before an id in the same place, as it does in the router.
    _, found = min(fitting, key=lambda one: one[0].count("{"), default=("", ()))
    return ", ".join(sorted(found))


@lru_cache(maxsize=4)
def _addresses(app: FastAPI) -> tuple[tuple[str, re.Pattern[str], tuple[str, ...]], ...]:
    return tuple(
        (path, re.compile(re.sub(r"\\\{[^}]+\\\}", "[^/]+", re.escape(path))), tuple(method.upper() for method in methods))
        for path, methods in app.openapi()["paths"].items()
    )
