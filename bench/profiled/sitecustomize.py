"""Imported by every Python that has this folder on its path: profiles worker, listener and API from start to end.

For `python -m bench --profile` only. The profiler costs time of its own: figures measured with it say where time goes, not how
much there is.
"""

import atexit
import cProfile
import os
import signal
import sys
from pathlib import Path


def _name() -> str | None:
    """Which of our processes this is; None for all the others."""
    words = sys.orig_argv[1:]
    if words[:1] == ["worker.py"]:
        return "worker"
    return {"-m listener": "listener", "-m uvicorn": "api"}.get(" ".join(words[:2]))


_folder, _process = os.environ.get("BENCH_PROFILES"), _name()
if _folder and _process:
    _profile = cProfile.Profile()
    _path = Path(_folder) / f"{_process}-{os.getpid()}.prof"
    _path.parent.mkdir(parents=True, exist_ok=True)
    atexit.register(lambda: _profile.dump_stats(_path))
    # The API's server hands the signal on when it has ended; without a handler that is a death without farewell.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    _profile.enable()
