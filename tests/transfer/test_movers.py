"""What every mover promises, whatever it moves files with. New movers join `MOVERS`."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from eucentric_core import (
    ConfigurationError,
    DataFormatError,
    IntegrityError,
    OutOfSpaceError,
    TransferFailedError,
)
from eucentric_transfer import Mover, PosixMover, open_mover

MOVERS: dict[str, Callable[[Path], Mover]] = {"posix": PosixMover}

HOSTILE_NAMES = [
    "../outside",
    "a/../../outside",
    "..",
    ".",
    "",
    "/etc/passwd",
    "a//b",
    "a/",
    "./a",
    "~/a",
    ".hidden",
    "a\\..\\b",
    "C:\\a",
    "C:a",
    "\\\\host\\share",
    "a\x00b",
    "a\nb",
    "%2e%2e/a",
    "a b",
    "a#b",
    "a?b",
    "\u2024\u2024/a",
    "caf\u00e9",
    "a" * 300,
    "/".join("abcdefg"),
    "CON",
    "nul.h5",
    "com1.json",
    "trailing.",
]


@pytest.fixture
def far_end(tmp_path: Path) -> Path:
    root = tmp_path / "far"
    root.mkdir()
    return root


@pytest.fixture(params=sorted(MOVERS))
def mover(request: pytest.FixtureRequest, far_end: Path) -> Mover:
    return MOVERS[request.param](far_end)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.h5"
    path.write_bytes(bytes(range(256)) * 9000)
    return path


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_file_arrives_whole_and_its_hash_is_confirmed(mover: Mover, source: Path) -> None:
    content = source.read_bytes()
    arrived = mover.put(source, "incoming/a.h5", sha256=sha256(content))
    assert (arrived.size_bytes, arrived.sha256) == (len(content), sha256(content))
    assert mover.size("incoming/a.h5") == len(content)
    assert mover.sha256("incoming/a.h5") == sha256(content)
    assert mover.read_bytes("incoming/a.h5", max_bytes=len(content)) == content
    assert source.read_bytes() == content


def test_putting_it_again_changes_nothing(mover: Mover, source: Path) -> None:
    assert mover.put(source, "incoming/a.h5") == mover.put(source, "incoming/a.h5")
    assert mover.list("incoming") == ("a.h5",)


def test_documents_and_listing(mover: Mover) -> None:
    assert mover.list("incoming") == ()
    mover.put_bytes(b"{}", "incoming/b.json")
    mover.put_bytes(b"", "incoming/a.json")
    assert mover.list("incoming") == ("a.json", "b.json")
    assert mover.read_bytes("incoming/a.json", max_bytes=10) == b""


def test_a_source_that_changed_since_it_was_sealed_is_not_delivered(mover: Mover, source: Path) -> None:
    with pytest.raises(IntegrityError, match="changed"):
        mover.put(source, "incoming/a.h5", sha256=sha256(b"what it was"))
    assert mover.size("incoming/a.h5") is None
    assert mover.list("incoming") == ()


def test_a_source_that_is_gone_is_an_integrity_error(mover: Mover, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError):
        mover.put(tmp_path / "gone.h5", "incoming/a.h5")


def test_what_is_not_there(mover: Mover) -> None:
    assert mover.size("incoming/a.h5") is None
    with pytest.raises(TransferFailedError):
        mover.sha256("incoming/a.h5")
    with pytest.raises(TransferFailedError):
        mover.read_bytes("incoming/a.h5", max_bytes=10)


def test_a_document_that_is_too_long_is_refused(mover: Mover) -> None:
    mover.put_bytes(bytes(100), "receipts/a.json")
    with pytest.raises(DataFormatError):
        mover.read_bytes("receipts/a.json", max_bytes=99)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_no_name_leads_out_of_the_root(mover: Mover, source: Path, tmp_path: Path, name: str) -> None:
    before = sorted(tmp_path.rglob("*"))
    calls: list[Callable[[], object]] = [
        lambda: mover.put(source, name),
        lambda: mover.put_bytes(b"x", name),
        lambda: mover.size(name),
        lambda: mover.sha256(name),
        lambda: mover.read_bytes(name, max_bytes=10),
        lambda: mover.list(name),
    ]
    for call in calls:
        with pytest.raises(DataFormatError):
            call()
    assert sorted(tmp_path.rglob("*")) == before


def test_a_symbolic_link_does_not_lead_out_of_the_root(far_end: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (far_end / "incoming").symlink_to(outside)
    with pytest.raises(DataFormatError, match="symbolic link"):
        PosixMover(far_end).put_bytes(b"x", "incoming/a.json")
    assert list(outside.iterdir()) == []


def test_a_share_that_is_not_mounted_is_not_replaced_by_a_local_folder(source: Path, tmp_path: Path) -> None:
    with pytest.raises(TransferFailedError, match="not there"):
        PosixMover(tmp_path / "share").put(source, "incoming/a.h5")
    assert not (tmp_path / "share").exists()


def test_a_folder_that_cannot_be_made_is_a_typed_error(far_end: Path, source: Path) -> None:
    (far_end / "incoming").write_text("a file where a folder should be")
    with pytest.raises(TransferFailedError):
        PosixMover(far_end).put(source, "incoming/a.h5")


class RottingDisk(PosixMover):
    """A far end whose storage changes a byte of what was written."""

    def _copy(self, stream: BinaryIO, temporary: Path, name: str, expected: str | None) -> str:
        sent = super()._copy(stream, temporary, name, expected)
        content = bytearray(temporary.read_bytes())
        content[0] ^= 1
        temporary.write_bytes(content)
        return sent


def test_a_file_that_arrives_changed_does_not_appear(far_end: Path, source: Path) -> None:
    with pytest.raises(TransferFailedError, match="another content"):
        RottingDisk(far_end).put(source, "incoming/a.h5")
    assert list((far_end / "incoming").iterdir()) == []


def test_what_a_killed_transfer_left_is_hidden_and_overwritten(far_end: Path, source: Path) -> None:
    (far_end / "incoming").mkdir()
    (far_end / "incoming" / ".a.h5.part").write_bytes(b"half")
    mover = PosixMover(far_end)
    assert mover.list("incoming") == ()
    mover.put(source, "incoming/a.h5")
    assert [path.name for path in (far_end / "incoming").iterdir()] == ["a.h5"]


def test_a_file_the_far_end_has_no_room_for_is_refused_before_it_is_copied(
    far_end: Path, tmp_path: Path
) -> None:
    huge = tmp_path / "huge.h5"
    with huge.open("wb") as file:
        file.truncate(shutil.disk_usage(tmp_path).free + (1 << 30))  # sparse: it takes no room itself
    with pytest.raises(OutOfSpaceError):
        PosixMover(far_end).put(huge, "incoming/a.h5")
    assert PosixMover(far_end).list("incoming") == ()


@pytest.mark.parametrize("where", ["{}", "posix://{}", "file://{}", "posix://localhost{}"])
def test_addresses_of_folders(far_end: Path, where: str) -> None:
    open_mover(where.format(far_end)).put_bytes(b"x", "a.json")
    assert (far_end / "a.json").read_bytes() == b"x"
    assert isinstance(open_mover(far_end), PosixMover)


@pytest.mark.parametrize("where", ["s3://bucket/prefix", "globus://endpoint/path", "https://example.org/x"])
def test_an_address_without_a_mover_says_which_there_are(where: str) -> None:
    with pytest.raises(ConfigurationError, match="posix") as caught:
        open_mover(where)
    assert caught.value.details["available"] == ["file", "posix"]


def test_a_folder_of_another_machine_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        open_mover("posix://nas/data")
