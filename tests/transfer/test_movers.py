"""What every mover promises, whatever it moves files with. New movers join `far_ends.FAR_ENDS`."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from eucentric_core import (
    DataFormatError,
    EucentricError,
    IntegrityError,
    TransferFailedError,
)
from eucentric_transfer import FarEndError, Mover, MoverOptions, Outgoing, Progress, RemoteFile

from .far_ends import FarEnd

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


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_file_arrives_whole_and_its_hash_is_confirmed(far_end: FarEnd, mover: Mover, source: Path) -> None:
    content = source.read_bytes()
    arrived = mover.put(source, "incoming/a.h5", sha256=sha256(content))
    assert (arrived.size_bytes, arrived.sha256) == (len(content), sha256(content))
    assert mover.size("incoming/a.h5") == len(content)
    assert mover.sha256("incoming/a.h5") == sha256(content)
    assert mover.read_bytes("incoming/a.h5", max_bytes=len(content)) == content
    assert source.read_bytes() == content
    assert far_end.files() == {"incoming/a.h5": content}


def test_putting_it_again_changes_nothing(mover: Mover, source: Path) -> None:
    assert mover.put(source, "incoming/a.h5") == mover.put(source, "incoming/a.h5")
    assert mover.list("incoming") == ("a.h5",)


def test_putting_another_content_replaces_what_was_there(far_end: FarEnd, mover: Mover) -> None:
    mover.put_bytes(b"old", "incoming/a.json")
    mover.put_bytes(b"new", "incoming/a.json")
    assert far_end.files() == {"incoming/a.json": b"new"}


def test_documents_and_listing(mover: Mover) -> None:
    assert mover.list("incoming") == ()
    mover.put_bytes(b"{}", "incoming/b.json")
    mover.put_bytes(b"", "incoming/a.json")
    mover.put_bytes(b"{}", "incoming/deeper/c.json")
    assert mover.list("incoming") == ("a.json", "b.json")
    assert mover.read_bytes("incoming/a.json", max_bytes=10) == b""


def test_a_source_that_changed_since_it_was_sealed_is_not_delivered(
    far_end: FarEnd, mover: Mover, source: Path
) -> None:
    with pytest.raises(IntegrityError, match="changed"):
        mover.put(source, "incoming/a.h5", sha256=sha256(b"what it was"))
    assert far_end.files() == {}


def test_a_source_that_is_gone_is_an_integrity_error(mover: Mover, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError):
        mover.put(tmp_path / "gone.h5", "incoming/a.h5")


def test_what_is_not_there(mover: Mover, tmp_path: Path) -> None:
    assert mover.size("incoming/a.h5") is None
    with pytest.raises(TransferFailedError):
        mover.sha256("incoming/a.h5")
    with pytest.raises(TransferFailedError):
        mover.read_bytes("incoming/a.h5", max_bytes=10)
    with pytest.raises(TransferFailedError):
        mover.get("incoming/a.h5", tmp_path / "a.h5")
    assert not (tmp_path / "a.h5").exists()


def test_a_document_that_is_too_long_is_refused(mover: Mover) -> None:
    mover.put_bytes(bytes(100), "receipts/a.json")
    with pytest.raises(DataFormatError):
        mover.read_bytes("receipts/a.json", max_bytes=99)
    with pytest.raises(DataFormatError):
        mover.read_many(["receipts/a.json"], max_bytes=99)


def test_no_name_leads_out_of_the_root(far_end: FarEnd, mover: Mover, source: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    calls: list[Callable[[str], object]] = [
        lambda name: mover.put(source, name),
        lambda name: mover.put_bytes(b"x", name),
        mover.size,
        mover.sha256,
        lambda name: mover.read_bytes(name, max_bytes=10),
        lambda name: mover.read_many([name], max_bytes=10),
        lambda name: mover.get(name, tmp_path / "got"),
        lambda name: mover.remove(name, sha256=sha256(b"x")),
        mover.list,
    ]
    for name in HOSTILE_NAMES:
        for call in calls:
            with pytest.raises(DataFormatError):
                call(name)
        (answer,) = mover.put_many([Outgoing(b"x", name)])
        assert isinstance(answer, DataFormatError)
    assert sorted(tmp_path.rglob("*")) == before
    assert far_end.files() == {}


def test_a_batch_arrives_in_the_order_given(far_end: FarEnd, mover: Mover, source: Path) -> None:
    content = source.read_bytes()
    files = [
        Outgoing(source, "incoming/a.h5", sha256(content)),
        Outgoing(source, "incoming/b.h5"),
        Outgoing(b"{}", "incoming/a.json"),
        Outgoing(b"", "incoming/empty.json"),
    ]
    answers = mover.put_many(files)
    assert answers == tuple(
        RemoteFile(name=file.name, size_bytes=len(sent), sha256=sha256(sent))
        for file, sent in zip(files, [content, content, b"{}", b""], strict=True)
    )
    assert far_end.files() == {
        "incoming/a.h5": content,
        "incoming/b.h5": content,
        "incoming/a.json": b"{}",
        "incoming/empty.json": b"",
    }
    assert mover.put_many([]) == ()


def test_one_bad_file_of_a_batch_does_not_hold_up_the_others(
    far_end: FarEnd, mover: Mover, source: Path, tmp_path: Path
) -> None:
    answers = mover.put_many(
        [
            Outgoing(tmp_path / "gone.h5", "incoming/gone.h5"),
            Outgoing(source, "incoming/changed.h5", sha256(b"what it was")),
            Outgoing(b"x", "../outside"),
            Outgoing(source, "incoming/good.h5"),
        ]
    )
    assert [type(answer) for answer in answers] == [
        IntegrityError,
        IntegrityError,
        DataFormatError,
        RemoteFile,
    ]
    assert set(far_end.files()) == {"incoming/good.h5"}


def test_documents_are_read_together_and_those_missing_are_none(mover: Mover) -> None:
    mover.put_bytes(b"1", "receipts/a.json")
    mover.put_bytes(b"", "receipts/b.json")
    names = ["receipts/b.json", "receipts/missing.json", "receipts/a.json", "elsewhere/a.json"]
    assert mover.read_many(names, max_bytes=10) == {
        "receipts/a.json": b"1",
        "receipts/b.json": b"",
        "receipts/missing.json": None,
        "elsewhere/a.json": None,
    }
    assert mover.read_many([], max_bytes=10) == {}


def test_a_file_is_fetched_and_confirmed(mover: Mover, source: Path, tmp_path: Path) -> None:
    content = source.read_bytes()
    mover.put(source, "incoming/a.h5")
    target = tmp_path / "fetched.h5"
    target.write_bytes(b"what was there")
    arrived = mover.get("incoming/a.h5", target, sha256=sha256(content))
    assert target.read_bytes() == content
    assert arrived == RemoteFile(name="incoming/a.h5", size_bytes=len(content), sha256=sha256(content))


def test_a_fetched_file_of_another_content_does_not_appear(
    far_end: FarEnd, mover: Mover, tmp_path: Path
) -> None:
    far_end.plant("incoming/a.h5", b"something else")
    folder = tmp_path / "here"
    folder.mkdir()
    with pytest.raises(IntegrityError, match="another content"):
        mover.get("incoming/a.h5", folder / "a.h5", sha256=sha256(b"what it should be"))
    assert list(folder.iterdir()) == []
    assert far_end.files() == {"incoming/a.h5": b"something else"}


def test_only_what_is_known_is_removed(far_end: FarEnd, mover: Mover) -> None:
    mover.put_bytes(b"mine", "incoming/a.json")
    mover.put_bytes(b"mine", "incoming/b.json")
    far_end.plant("incoming/b.json", b"somebody else's")
    mover.remove("incoming/a.json", sha256=sha256(b"mine"))
    with pytest.raises(IntegrityError, match="another content"):
        mover.remove("incoming/b.json", sha256=sha256(b"mine"))
    assert far_end.files() == {"incoming/b.json": b"somebody else's"}
    mover.remove("incoming/a.json", sha256=sha256(b"mine"))  # gone already


def test_the_hash_is_of_what_lies_there_not_of_what_was_sent(far_end: FarEnd, mover: Mover) -> None:
    mover.put_bytes(b"as it was sent", "incoming/a.json")
    far_end.plant("incoming/a.json", b"as it lies now")
    assert mover.sha256("incoming/a.json") == sha256(b"as it lies now")


def test_a_file_that_arrives_changed_does_not_count(far_end: FarEnd, source: Path) -> None:
    content = source.read_bytes()
    with far_end.suffering("damaging"), pytest.raises(TransferFailedError):
        far_end.open().put(source, "incoming/a.h5", sha256=sha256(content))
    assert "incoming/a.h5" not in far_end.files()
    far_end.open().put(source, "incoming/a.h5", sha256=sha256(content))
    assert far_end.files()["incoming/a.h5"] == content


def test_a_far_end_that_does_not_answer_says_so_whatever_is_asked(
    far_end: FarEnd, source: Path, tmp_path: Path
) -> None:
    with far_end.suffering("gone"):
        mover = far_end.open()
        calls: list[Callable[[], object]] = [
            lambda: mover.put(source, "incoming/a.h5"),
            lambda: mover.put_bytes(b"x", "incoming/a.json"),
            lambda: mover.size("incoming/a.h5"),
            lambda: mover.read_many(["incoming/a.json"], max_bytes=10),
            lambda: mover.get("incoming/a.h5", tmp_path / "got"),
            lambda: mover.remove("incoming/a.h5", sha256=sha256(b"x")),
            lambda: mover.list("incoming"),
        ]
        for call in calls:
            with pytest.raises(FarEndError):
                call()
        answers = mover.put_many([Outgoing(b"x", "incoming/a.json"), Outgoing(source, "incoming/a.h5")])
        assert [isinstance(answer, FarEndError) for answer in answers] == [True, True]
    assert far_end.files() == {}
    assert far_end.open().list("incoming") == ()


class Purse:
    """Counts what it is asked to pay."""

    def __init__(self) -> None:
        self.paid_bytes = 0

    def take(self, n_bytes: int, stopping: threading.Event | None = None) -> None:
        self.paid_bytes += n_bytes


def test_every_byte_is_paid_for_and_shown(far_end: FarEnd, source: Path) -> None:
    purse, seen = Purse(), list[Progress]()
    mover = far_end.open(MoverOptions(bandwidth=purse, paced=True, on_progress=seen.append))
    size_bytes = source.stat().st_size
    mover.put(source, "incoming/a.h5")
    assert purse.paid_bytes >= size_bytes
    assert max(progress.sent_bytes for progress in seen) == size_bytes
    assert {(progress.name, progress.size_bytes) for progress in seen} == {("incoming/a.h5", size_bytes)}


def test_a_transfer_that_is_stopped_leaves_nothing_and_is_sent_later(far_end: FarEnd, source: Path) -> None:
    stopping = threading.Event()
    stopping.set()
    mover = far_end.open(MoverOptions(stopping=stopping))
    with pytest.raises(FarEndError, match="Stopped"):
        mover.put(source, "incoming/a.h5")
    answers = mover.put_many([Outgoing(source, "incoming/a.h5"), Outgoing(b"x", "incoming/b.json")])
    assert all(isinstance(answer, EucentricError) for answer in answers)
    assert far_end.files() == {}
    far_end.open().put(source, "incoming/a.h5")
    assert far_end.files() == {"incoming/a.h5": source.read_bytes()}
