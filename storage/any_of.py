"""`Row.id == any_of(ids)`: one statement however many ids there are.

An `IN` list is another statement for every length: each has to be compiled here, and prepared and planned by Postgres, again.
"""

from collections.abc import Iterable

from sqlalchemy import ARRAY, CollectionAggregate, Text, any_, literal


def any_of(ids: Iterable[str]) -> CollectionAggregate[bool]:
    """To be compared with a column of texts."""
    return any_(literal(list(ids), ARRAY(Text)))
