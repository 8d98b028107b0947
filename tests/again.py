"""`python -m tests.again CODE`: what failed beside other tests is run once more, alone; that decides.

Hundreds of tests here run real servers and processes against real clocks, two at a time, on machines that others use as well. A
test that fails for a fault fails again alone. One that does not is named, so that it can be mended.
"""

import json
import subprocess
import sys
from pathlib import Path

FAILED = Path(__file__).parents[1] / ".pytest_cache/v/cache/lastfailed"
TESTS_FAILED = 1  # pytest's exit code; the others mean that it could not run
# More than this is no accident.
MOST = 5


def main(code: int) -> int:
    failed = sorted(json.loads(FAILED.read_text())) if FAILED.exists() else []
    # Without the name of a test in it, something failed before any test ran.
    if code != TESTS_FAILED or not 0 < len(failed) <= MOST or not all("::" in name for name in failed):
        return code
    _say("failed beside other tests, once more alone:", failed)
    again = subprocess.run([sys.executable, "-m", "pytest", "-p", "no:xdist", "--last-failed"], check=False)
    return again.returncode


def _say(what: str, tests: list[str]) -> None:
    print(f"\n\033[33m{what}\033[0m", *tests, sep="\n  ", flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
