"""An archive is whole or refused: every kind of damage, names that leave the folder, and which ones go."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eucentric.hub.backup import newest_archive, read_archive
from eucentric.hub.backup._archive import ArchiveFacts, archive_name, archives, writing_archive
from eucentric.hub.backup._contents import is_secret
from eucentric.hub.backup._errors import ArchiveDamagedError, RestoreRefusedError
from eucentric.hub.backup._manifest import MANIFEST, BackupManifest
from eucentric.hub.backup._relocation import relocated
from eucentric.hub.backup._retention import surplus
from eucentric.hub.backup._sealing import seal, unseal

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)


def write(path: Path, *, more: Callable[[tarfile.TarFile], None] | None = None) -> BackupManifest:
    source = path.with_name("source")
    source.write_bytes(b"frames" * 1000)
    with writing_archive(path) as writer:
        writer.add_file(source, "home/policies/a.toml")
        writer.add_bytes(b"second", "databases/mlflow.dump")
        manifest = BackupManifest(
            made_utc=NOON,
            hub="hub",
            home="/srv/eucentric",
            eucentric_version="1",
            postgres_version="15",
            members=dict(writer.members),
        )
        writer.add_bytes(manifest.model_dump_json().encode(), MANIFEST)
        if more is not None:
            more(writer._tar)
    return manifest


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    manifest = write(tmp_path / "a.tar")
    assert read_archive(tmp_path / "a.tar", into=tmp_path / "apart") == manifest
    assert (tmp_path / "apart/home/policies/a.toml").read_bytes() == b"frames" * 1000
    assert (tmp_path / "apart/databases/mlflow.dump").read_bytes() == b"second"
    assert (tmp_path / "a.tar").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("at", [600, 5000, 6900, 8300])
def test_a_changed_byte_is_found(tmp_path: Path, at: int) -> None:
    write(tmp_path / "a.tar")
    content = bytearray((tmp_path / "a.tar").read_bytes())
    content[at] ^= 1
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(ArchiveDamagedError):
        read_archive(tmp_path / "a.tar")


@pytest.mark.parametrize("left", [0, 100, 3000, 7000, 8000])
def test_an_archive_that_was_cut_short_is_refused(tmp_path: Path, left: int) -> None:
    write(tmp_path / "a.tar")
    content = (tmp_path / "a.tar").read_bytes()
    (tmp_path / "a.tar").write_bytes(content[:left])
    with pytest.raises(ArchiveDamagedError):
        read_archive(tmp_path / "a.tar")


@pytest.mark.parametrize("name", ["home/extra", "../outside", "/etc/outside", "home/../../outside"])
def test_what_the_manifest_does_not_know_is_refused_and_never_leaves_the_folder(
    tmp_path: Path, name: str
) -> None:
    def add(tar: tarfile.TarFile) -> None:
        info = tarfile.TarInfo(name)
        info.size = 1
        tar.addfile(info, io.BytesIO(b"x"))

    write(tmp_path / "a.tar", more=add)
    (tmp_path / "apart").mkdir()
    with pytest.raises(ArchiveDamagedError):
        read_archive(tmp_path / "a.tar", into=tmp_path / "apart" / "deep")
    assert not (tmp_path / "apart/outside").exists()
    assert not (tmp_path / "outside").exists()


def test_a_link_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        info = tarfile.TarInfo("home/link")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(info)
    with pytest.raises(ArchiveDamagedError, match="no plain file"):
        read_archive(tmp_path / "a.tar", into=tmp_path / "apart")


def test_secrets_open_with_their_passphrase_and_no_other() -> None:
    sealed = seal({"home/keys/signing-key.pem": b"canary"}, "correct horse")
    assert b"canary" not in sealed
    assert b"signing-key" not in sealed
    assert unseal(sealed, "correct horse") == {"home/keys/signing-key.pem": b"canary"}
    with pytest.raises(RestoreRefusedError, match="does not open"):
        unseal(sealed, "wrong horse")
    with pytest.raises(RestoreRefusedError):
        unseal(sealed[:-1] + bytes([sealed[-1] ^ 1]), "correct horse")
    with pytest.raises(ArchiveDamagedError):
        unseal(b"something else", "correct horse")


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("home/hub/secrets/pgpass", True),
        ("home/hub/environment", True),
        ("home/keys/signing-key.pem", True),
        ("home/keys/online-key.pem", True),
        ("home/keys/former/root-key-1.pem", True),
        ("home/keys/webhook-secret", True),
        ("home/keys/root.json", False),
        ("home/keys/trusted-keys.json", False),
        ("home/keys/waiting/targets.request.json", False),
        ("home/tls/hub/key.pem", True),
        ("home/tls/hub/certificate.pem", False),
        ("home/authority/authority-key.pem", True),
        ("home/mlflow/webhook-encryption.key", True),
        ("home/dashboard/people.sqlite", True),
        ("home/globus/tokens.db", True),
        ("home/globus-secret", True),
        ("home/policies/retrain.toml", False),
        ("home/releases/metadata/1.root.json", False),
        ("home/flows/runs.sqlite", False),
        ("keys/signing-key.pem", True),
        ("keys/root.json", False),
        ("releases/metadata/timestamp.json", False),
    ],
)
def test_what_is_a_secret(name: str, secret: bool) -> None:
    assert is_secret(name) is secret


@given(count=st.integers(0, 40), keep=st.integers(1, 20))
def test_the_newest_are_kept(count: int, keep: int) -> None:
    found = [ArchiveFacts(Path(f"{day}.tar"), NOON + timedelta(days=day)) for day in range(count)]
    gone = surplus(found[::-1], keep)
    assert list(gone) == found[: max(0, count - keep)]


def test_only_finished_archives_count(tmp_path: Path) -> None:
    for day in range(3):
        (tmp_path / archive_name(NOON + timedelta(days=day))).touch()
    (tmp_path / f".{archive_name(NOON + timedelta(days=9))}.part").touch()
    (tmp_path / "eucentric-hub-of-somebody.tar").touch()
    assert [one.made_utc.day for one in archives(tmp_path)] == [27, 28, 29]
    newest = newest_archive(tmp_path)
    assert newest is not None
    assert newest.made_utc == NOON + timedelta(days=2)
    assert newest_archive(tmp_path / "nothing") is None


def test_paths_below_the_home_move_with_it() -> None:
    document = {"home": "/srv/a", "hub": {"x": ["/srv/a/b", "/srv/ab"], "url": "http://srv/a"}, "n": 1}
    assert relocated(document, "/srv/a", "/data/new") == {
        "home": "/data/new",
        "hub": {"x": ["/data/new/b", "/srv/ab"], "url": "http://srv/a"},
        "n": 1,
    }
