"""Sending first: while the orders of a herd wait to leave this process, whatever can wait lets them pass.

Storing answers and fills, reading books and planning cost many times what a request costs. Between the first and the last of a
thousand exits they would make the last wait for all of it.
"""

import asyncio
import gc

from trading.lead import HERD

# Nothing waits longer than this (seconds), whatever is the matter with the sending.
LONGEST_WAIT = 1.0


class Rush:
    """One per process. Counts orders between the moment they are taken up to be claimed and the first byte of their request."""

    def __init__(self) -> None:
        self._leaving: set[str] = set()
        self._over = asyncio.Event()

    def takes_up(self, order_ids: list[str]) -> None:
        self._leaving.update(order_ids)
        if len(self._leaving) >= HERD:
            self._over.clear()
            # The search for garbage can wait as well.
            gc.disable()

    def has_left(self, order_id: str) -> None:
        """Its request is on the way, or it will not leave this time. May be said more than once."""
        self._leaving.discard(order_id)
        if not self._leaving:
            self._over.set()
            if not gc.isenabled():
                # Nor is it made up for now: a search through all that a thousand orders have made takes 50 to 110 ms, in which no
                # fill is read and no stop is heard. They are left for the one in the small hours (`runtime/garbage.py`).
                gc.freeze()
                gc.enable()

    @property
    def is_on(self) -> bool:
        return len(self._leaving) >= HERD

    async def pass_by(self) -> None:
        """Wait while a herd leaves, and no longer than `LONGEST_WAIT`."""
        if not self.is_on:
            return
        try:
            async with asyncio.timeout(LONGEST_WAIT):
                await self._over.wait()
        except TimeoutError:
            return
