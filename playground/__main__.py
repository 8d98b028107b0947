"""`python -m playground`: one piece of work, from standard input to standard output, within limits that end it if it goes astray.

Standard input is a line of JSON (the request) and then bytes (a file, or bars); standard output is lines of JSON.
"""

import json
import os
import resource
import sys

from playground.apart import MEMORY_BYTES, PROCESSOR_SECONDS

_NICE = 10


def limit() -> None:
    """Below everything that trades, and never more than its share: a file made to unpack for ever ends here."""
    os.nice(_NICE)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_SECONDS, PROCESSOR_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Nothing is ever written to a file, and no library may think otherwise.
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def main() -> None:
    limit()
    # After the limits: what is imported counts.
    from playground.job import lines_of

    request = json.loads(sys.stdin.buffer.readline())
    content = sys.stdin.buffer.read()
    for line in lines_of(request, content):
        sys.stdout.buffer.write(json.dumps(line).encode() + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
