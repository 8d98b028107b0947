"""Sealing of secrets at rest."""

from typing import Protocol


class Sealer(Protocol):
    """Authenticated encryption. `bound_to` ties a sealed value to its user and field: moved elsewhere it does not open."""

    def seal(self, secret: str, *, bound_to: str) -> str: ...

    def open(self, sealed: str, *, bound_to: str) -> str:
        """Raises SealBroken for a wrong key, a wrong binding or a changed value."""


class SealBroken(Exception):
    """The sealed value cannot be opened."""
