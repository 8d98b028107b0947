"""Keys of the local stack: private, made once, and the user's own are left alone."""

import os
import stat
from pathlib import Path

from local.secrets import ensure_secrets
from runtime.crypto import KeyRing


def test_only_the_owner_may_read_the_keys(tmp_path: Path) -> None:
    path = tmp_path / "secrets.env"
    before = os.umask(0)
    try:
        ensure_secrets(path, given=())
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_became_readable_is_closed_again(tmp_path: Path) -> None:
    path = tmp_path / "secrets.env"
    ensure_secrets(path, given=())
    path.chmod(0o644)
    ensure_secrets(path, given=())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_keys_are_made_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "secrets.env"
    assert ensure_secrets(path, given=()) == ensure_secrets(path, given=())


def test_two_machines_have_different_keys(tmp_path: Path) -> None:
    one, other = (ensure_secrets(tmp_path / name, given=()) for name in ("one", "other"))
    assert not set(one.values()) & set(other.values())


def test_the_sealing_key_opens_what_it_sealed(tmp_path: Path) -> None:
    ring = KeyRing.parse(ensure_secrets(tmp_path / "secrets.env", given=())["AES_MASTER_KEYS"])
    assert ring.open(ring.seal("token", bound_to="user/field"), bound_to="user/field") == "token"


def test_a_key_the_user_has_set_is_neither_made_nor_handed_out(tmp_path: Path) -> None:
    path = tmp_path / "secrets.env"
    assert set(ensure_secrets(path, given={"JWT_KEYS"})) == {"AES_MASTER_KEYS"}
    assert "JWT_KEYS" not in path.read_text()


def test_a_key_made_before_the_user_set_one_stays_for_later(tmp_path: Path) -> None:
    path = tmp_path / "secrets.env"
    made = ensure_secrets(path, given=())
    ensure_secrets(path, given={"AES_MASTER_KEYS"})
    assert ensure_secrets(path, given=()) == made
