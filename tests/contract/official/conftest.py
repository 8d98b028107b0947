"""Every folder here holds one broker's official client: its pinned requirements, scripts that run in it, and the tests."""

from pathlib import Path

import pytest

from tests.contract.official.client import OfficialClient
from tests.contract.official.environment import CannotMakeEnvironment, client_python


@pytest.fixture
def client(request: pytest.FixtureRequest, tmp_path: Path) -> OfficialClient:
    """The client of the folder the test is in."""
    scripts = request.path.parent
    try:
        return OfficialClient(client_python(scripts), scripts, tmp_path)
    except CannotMakeEnvironment as error:
        pytest.fail(str(error), pytrace=False)
