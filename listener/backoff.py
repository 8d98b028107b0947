"""How long to wait before the next attempt: exponential with full jitter, the first retry at once."""

import random

FIRST_SECONDS = 0.05
BASE_SECONDS = 0.25
CAP_SECONDS = 10.0


class Backoff:
    def __init__(self, random_source: random.Random | None = None) -> None:
        self._random = random_source or random.Random()
        self._failures = 0

    def next_seconds(self) -> float:
        self._failures += 1
        if self._failures == 1:
            return self._random.uniform(0, FIRST_SECONDS)
        # The exponent is bounded: a feed that is away for a night must not overflow it.
        return self._random.uniform(0, min(CAP_SECONDS, BASE_SECONDS * 2 ** min(self._failures - 2, 10)))

    def reset(self) -> None:
        self._failures = 0
