"""`up --detach`: the same supervisor in the background; its words are shown until it is ready."""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from local.errors import StackError
from local.plan import ROOT
from local.running import running_stack

_PAUSE_SECONDS = 0.1


def up_in_background(state: Path, options: Sequence[str], *, output: TextIO) -> None:
    """Returns once the stack is ready. Raises StackError when the supervisor ends before."""
    log_path = state / "logs" / "up.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "local", "up", "--state", str(state), *options]
    with log_path.open("w") as log:
        supervisor = subprocess.Popen(  # noqa: S603 - ourselves
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    with log_path.open() as words:
        while True:
            ended = supervisor.poll() is not None
            record = running_stack(state)
            # Read after looking, so that the last words of an ended supervisor are shown.
            output.write(words.read())
            output.flush()
            if ended:
                raise StackError(f"the stack did not start (code {supervisor.returncode})")
            if record is not None and record.ready and record.supervisor.pid == supervisor.pid:
                return
            time.sleep(_PAUSE_SECONDS)
