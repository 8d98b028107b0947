"""The keys of this machine's own stack: made at the first start, kept in a file only its owner can read."""

import base64
import os
import secrets
from collections.abc import Collection
from pathlib import Path


def ensure_secrets(path: Path, *, given: Collection[str]) -> dict[str, str]:
    """Every key not in `given` (names the user has set), from the file, or made now and added to it."""
    kept = _read(path)
    makers = {"JWT_KEYS": _signing_key, "AES_MASTER_KEYS": _sealing_key}
    made = {name: make() for name, make in makers.items() if name not in given and name not in kept}
    if made:
        kept |= made
        _write(path, kept)
    return {name: value for name, value in kept.items() if name in makers and name not in given}


def _signing_key() -> str:
    return f"local:{secrets.token_urlsafe(48)}"


def _sealing_key() -> str:
    return f"local:{base64.b64encode(secrets.token_bytes(32)).decode()}"


def _read(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    path.chmod(0o600)
    pairs = (line.partition("=") for line in path.read_text().splitlines() if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def _write(path: Path, values: dict[str, str]) -> None:
    """Private from its first byte, and whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write("# Keys of the local stack. Whoever has them can read its sealed credentials and sign tokens.\n")
        file.writelines(f"{name}={value}\n" for name, value in values.items())
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
