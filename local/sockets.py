"""Where the unix sockets of the embedded servers lie: a private folder with a short path."""

import hashlib
import os
import stat
import tempfile
from pathlib import Path

from local.errors import StackError

# sun_path holds 108 bytes on Linux and 104 on macOS, the closing zero included: unix(7).
_PATH_LIMIT_BYTES = 103
_LONGEST_NAME = ".s.PGSQL.5432"


def socket_folder(state: Path) -> Path:
    """`<state>/sockets`, or a folder under the temp dir when that path is too long for a socket. Mode 0700, made if missing."""
    folder = state / "sockets"
    if len(os.fsencode(folder / _LONGEST_NAME)) > _PATH_LIMIT_BYTES:
        digest = hashlib.sha256(os.fsencode(state)).hexdigest()[:12]
        folder = Path(tempfile.gettempdir()) / f"algo-trading-{os.getuid()}-{digest}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _refuse_a_foreign_folder(folder)
    return folder


def _refuse_a_foreign_folder(folder: Path) -> None:
    """In a shared temp dir somebody else may have made the folder first, to listen in our place."""
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise StackError(f"{folder} exists and is not a folder of yours; remove it or set TMPDIR to another folder")
    folder.chmod(0o700)
