"""What a folder as the far end adds to the promises of every mover, and how addresses are read."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from eucentric_core import ConfigurationError, DataFormatError, OutOfSpaceError, TransferFailedError
from eucentric_transfer import FarEndError, PosixMover, open_mover

from .far_ends import Folder


def test_a_symbolic_link_does_not_lead_out_of_the_root(posix_far_end: Folder, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (posix_far_end.root / "incoming").symlink_to(outside)
    with pytest.raises(DataFormatError, match="symbolic link"):
        posix_far_end.open().put_bytes(b"x", "incoming/a.json")
    assert list(outside.iterdir()) == []


def test_a_share_that_is_not_mounted_is_not_replaced_by_a_local_folder(source: Path, tmp_path: Path) -> None:
    with pytest.raises(FarEndError, match="not there"):
        PosixMover(tmp_path / "share").put(source, "incoming/a.h5")
    assert not (tmp_path / "share").exists()


def test_a_folder_that_cannot_be_made_is_a_typed_error(posix_far_end: Folder, source: Path) -> None:
    (posix_far_end.root / "incoming").write_text("a file where a folder should be")
    with pytest.raises(TransferFailedError):
        posix_far_end.open().put(source, "incoming/a.h5")


def test_what_a_killed_transfer_left_is_hidden_and_overwritten(posix_far_end: Folder, source: Path) -> None:
    posix_far_end.plant("incoming/.a.h5.part", b"half")
    mover = posix_far_end.open()
    assert mover.list("incoming") == ()
    mover.put(source, "incoming/a.h5")
    assert set(posix_far_end.files()) == {"incoming/a.h5"}


def test_a_file_the_far_end_has_no_room_for_is_refused_before_it_is_copied(
    posix_far_end: Folder, tmp_path: Path
) -> None:
    huge = tmp_path / "huge.h5"
    with huge.open("wb") as file:
        file.truncate(shutil.disk_usage(tmp_path).free + (1 << 30))  # sparse: it takes no room itself
    with pytest.raises(OutOfSpaceError):
        posix_far_end.open().put(huge, "incoming/a.h5")
    assert posix_far_end.files() == {}


def test_a_folder_to_fetch_into_that_is_not_there_is_a_typed_error(
    posix_far_end: Folder, tmp_path: Path
) -> None:
    posix_far_end.plant("incoming/a.h5", b"x")
    with pytest.raises(ConfigurationError, match="no folder"):
        posix_far_end.open().get("incoming/a.h5", tmp_path / "missing" / "a.h5")


@pytest.mark.parametrize("where", ["{}", "posix://{}", "file://{}", "posix://localhost{}"])
def test_addresses_of_folders(posix_far_end: Folder, where: str) -> None:
    open_mover(where.format(posix_far_end.root)).put_bytes(b"x", "a.json")
    assert posix_far_end.files() == {"a.json": b"x"}
    assert isinstance(open_mover(posix_far_end.root), PosixMover)


def test_an_address_without_a_mover_says_which_there_are() -> None:
    with pytest.raises(ConfigurationError, match="posix") as caught:
        open_mover("https://example.org/x")
    available = caught.value.details["available"]
    assert isinstance(available, list)
    assert {"file", "posix"} <= set(available)


def test_a_folder_of_another_machine_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        open_mover("posix://nas/data")
