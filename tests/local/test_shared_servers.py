"""The servers of a test run: one of each, whoever asks first, and one sentence when one cannot start."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from local.errors import StackError
from tests import stack

ROOT = Path(__file__).parents[2]
_ASK = "import sys; from tests.stack import address_of; print(address_of(sys.argv[1]))"


def test_two_processes_that_ask_at_once_get_the_same_server() -> None:
    ask = [sys.executable, "-c", _ASK, "redis-asked-twice"]
    processes = [subprocess.Popen(ask, cwd=ROOT, env=os.environ, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = {process.communicate(timeout=60)[0] for process in processes}
    assert answers == {f"{stack.folder()}/redis-asked-twice/redis.sock\n"}
    log = (stack.folder() / "redis-asked-twice.log").read_text()
    assert log.count("oO0OoO0OoO0Oo Valkey is starting") == 1


def test_a_server_that_cannot_start_is_the_same_sentence_for_everybody() -> None:
    for _ in range(2):
        with pytest.raises(StackError, match="there is no test server called 'unheard-of'"):
            stack.address_of("unheard-of")
