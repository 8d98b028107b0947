"""Sockets lie in a private folder, with a path the kernel accepts."""

import stat
import tempfile
from pathlib import Path

import pytest

from local.errors import StackError
from local.sockets import socket_folder


def test_sockets_lie_with_the_state_when_the_path_is_short(short_folder: Path) -> None:
    folder = socket_folder(short_folder)
    assert folder == short_folder / "sockets"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_long_checkout_path_moves_them_to_a_private_folder_under_the_temp_dir(
    short_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(short_folder))
    folder = socket_folder(short_folder / ("long" * 30))
    assert folder.parent == short_folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert len(str(folder / ".s.PGSQL.5432")) < 104


def test_two_long_checkouts_do_not_share_a_folder(short_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(short_folder))
    assert socket_folder(short_folder / ("a" * 120)) != socket_folder(short_folder / ("b" * 120))


def test_a_folder_somebody_else_put_there_is_refused(short_folder: Path) -> None:
    (short_folder / "theirs").mkdir()
    (short_folder / "sockets").symlink_to(short_folder / "theirs")
    with pytest.raises(StackError, match="not a folder of yours"):
        socket_folder(short_folder)
