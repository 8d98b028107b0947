"""What the fuzzer is told beside the document. It is loaded by the fuzzer, which is a process of its own."""

import re
from itertools import count
from typing import Any

import schemathesis
from schemathesis import Case, HookContext

from api.deps import IDEMPOTENCY_KEY_PATTERN

_keys = count()


@schemathesis.hook
def before_call(context: HookContext, case: Case, kwargs: dict[str, Any]) -> None:
    """A key that is good is used once: with the one of the example every request but the first is answered "used before"."""
    key = (case.headers or {}).get("Idempotency-Key")
    if isinstance(key, str) and re.fullmatch(IDEMPOTENCY_KEY_PATTERN, key):
        case.headers["Idempotency-Key"] = f"{key[:150]}-{next(_keys)}"
