"""Fixtures of the embedded stack's own tests."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path leaves room for a unix socket, unlike pytest's own on some machines."""
    with tempfile.TemporaryDirectory(prefix="algo-", dir="/tmp") as folder:
        yield Path(folder)
