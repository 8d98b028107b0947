#!/bin/sh
# Finds a Python that can run this project and lets it make the environment in .venv (local/environment.py).
set -eu

for python in ${PYTHON:-} python3.11 python3.12 python3.13 python3 python3.14 python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        exec "$python" "$(dirname "$0")/environment.py" "$@"
    fi
done
echo "Python 3.11 or newer is needed and none was found on the path: install it, or name one with PYTHON=/path/to/python3." >&2
exit 1
