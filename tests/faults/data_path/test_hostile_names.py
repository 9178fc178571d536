"""Names that mean a file somewhere else, at every entry that takes one: refused, nothing outside touched."""

from __future__ import annotations

import http.client
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from eucentric_core import (
    AgentSettings,
    DataFormatError,
    DatasetManifest,
    FrameHeader,
    RepositorySettings,
    SessionStarted,
    SessionStopped,
    Shard,
    sha256_file,
    utc_now,
)
from eucentric_core.transport import find_free_port
from eucentric_data_repository import Catalogue, Registrar, RepositoryFolders, ingest_once
from eucentric_data_repository.data_cli import app
from eucentric_data_repository.http_door import HttpDoor
from eucentric_transfer import PosixMover, checked_name, write_shard

from ...frames import build_frame

HOSTILE = (
    "../canary",
    "../../etc/passwd",
    "..\\canary",
    "a/../../canary",
    "a\\..\\..\\canary",
    "/etc/passwd",
    "//server/share",
    "\\\\server\\share",
    "C:\\canary",
    "C:canary",
    "file:///etc/passwd",
    "..",
    ".",
    "",
    " ",
    ".hidden",
    "-rf",
    "~/canary",
    "canary\0.h5",
    "\0",
    "CON",
    "con.h5",
    "NUL",
    "aux.json",
    "COM1",
    "LPT9.h5",
    "name.",
    "name ",
    "%2e%2e%2fcanary",
    "%2e%2e",
    "%252e%252e",
    "a#b",
    "a?b",
    "a*b",
    "a|b",
    "a:b",
    "a;rm -rf",
    "$(id)",
    "`id`",
    "․․/canary",
    "．．/canary",
    "‥/canary",
    "a／b",
    "ａ",
    "naïve",
    "a\u202eb",
    "a\u200bb",
    "n" * 300,
    "a\nb",
    "a\r\nb",
    "a\n",
    "\ta",
)
"""Some mean another folder, some another file on Windows, some another thing to whoever prints or parses."""


def named(name: str) -> str:
    return ascii(name)[:40]


hostile = pytest.mark.parametrize("name", HOSTILE, ids=named)


def shard_fields(**fields: Any) -> dict[str, Any]:
    return {
        "instrument": "twin",
        "session": "s1",
        "index": 0,
        "first_sequence": 0,
        "last_sequence": 0,
        "frames": 1,
        "streams": ("haadf",),
        "sha256": "0" * 64,
        "size_bytes": 1,
        "sealed_utc": utc_now(),
        "simulated": True,
        **fields,
    }


@hostile
def test_no_model_that_becomes_a_file_name_takes_it(name: str) -> None:
    header = build_frame(0).header.model_dump()
    makers: list[tuple[type[Any], dict[str, Any]]] = []
    for field in ("instrument", "session", "sample", "material"):
        makers.append((FrameHeader, {**header, field: name}))
        makers.append((Shard, shard_fields(**{field: name})))
        started = {"source": "agent", "instrument": "twin", "session": "s1", field: name}
        makers.append((SessionStarted, started))
    for field in ("instrument", "session"):
        manifest = {"instrument": "twin", "session": "s1", "shards": (), "closed_utc": utc_now(), field: name}
        makers.append((DatasetManifest, manifest))
        stopped = {"source": "agent", "instrument": "twin", "session": "s1", "frames": 0, field: name}
        makers.append((SessionStopped, stopped))
    makers += [(AgentSettings, {"name": name}), (AgentSettings, {"instrument": name})]
    makers.append((RepositorySettings, {"name": name}))
    if not re.fullmatch(r"[a-z][a-z0-9_.-]*", name):
        # A stream is a group inside a file; what is a device's name elsewhere is none there.
        makers.append((FrameHeader, {**header, "stream": name}))
    for model, fields in makers:
        with pytest.raises(ValidationError):
            model(**fields)


@hostile
def test_no_mover_takes_it(name: str, tmp_path: Path) -> None:
    outside = tmp_path / "canary"
    outside.write_text("untouched")
    root = tmp_path / "root"
    root.mkdir()
    mover = PosixMover(root)
    for given in (name, f"incoming/{name}", f"{name}/x.h5"):
        with pytest.raises(DataFormatError):
            checked_name(given)
        for attempt in (
            lambda given=given: mover.put(outside, given),
            lambda given=given: mover.put_bytes(b"x", given),
            lambda given=given: mover.get(given, tmp_path / "got"),
            lambda given=given: mover.read_bytes(given, max_bytes=100),
            lambda given=given: mover.remove(given, sha256=sha256_file(outside)),
            lambda given=given: mover.size(given),
            lambda given=given: mover.list(given),
        ):
            with pytest.raises(DataFormatError):
                attempt()
    assert list(root.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["canary", "root"]
    assert outside.read_text() == "untouched"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository's root with one data set, in a folder with something beside it."""
    root = tmp_path_factory.mktemp("hostile") / "root"
    (root.parent / "canary").write_text("untouched")
    folders = RepositoryFolders(root)
    folders.make()
    work = root / "incoming" / ".work.h5"
    write_shard(work, [build_frame(0)], software="eucentric 0.test")
    shard = Shard(**shard_fields(sha256=sha256_file(work), size_bytes=work.stat().st_size))
    work.replace(folders.incoming / shard.file_name)
    (folders.incoming / f"{shard.file_name}.json").write_text(shard.model_dump_json())
    manifest = DatasetManifest(instrument="twin", session="s1", shards=(shard,), closed_utc=utc_now())
    (folders.incoming / "twin.s1.dataset.json").write_text(manifest.model_dump_json())
    take_in(root)
    return root


def take_in(root: Path) -> None:
    registrar = Registrar(RepositoryFolders(root).database, registered_by="repository-1")
    try:
        ingest_once(root, registrar)
    finally:
        registrar.close()


def everything_beside(root: Path) -> dict[str, bytes]:
    inside = {root / name for name in ("quarantine",)}
    return {
        str(path): path.read_bytes()
        for path in root.parent.rglob("*")
        if path.is_file() and not inside & set(path.parents) and "sqlite" not in path.name
    }


@hostile
def test_a_document_that_says_it_is_quarantined(store: Path, name: str) -> None:
    before = everything_beside(store)
    folders = RepositoryFolders(store)
    known = set(folders.quarantine.iterdir())
    text = json.dumps({**shard_fields(session=name), "sealed_utc": utc_now().isoformat()})
    (folders.incoming / "twin_s1_000009_000000000000.h5.json").write_text(text)
    manifest = {"instrument": name, "session": "s1", "shards": [], "closed_utc": utc_now().isoformat()}
    (folders.incoming / "x.dataset.json").write_text(json.dumps(manifest))
    take_in(store)
    assert everything_beside(store) == before
    new = {path.name for path in set(folders.quarantine.iterdir()) - known}
    assert sum(path.endswith(".reason.json") for path in new) == 2


@pytest.mark.parametrize("name", HOSTILE[::3], ids=named)
def test_no_command_takes_it_for_a_data_set(
    store: Path, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "\0" in name:
        pytest.skip("no command line can hold it")
    monkeypatch.chdir(tmp_path)
    before = everything_beside(store)
    target = tmp_path / "target"
    for arguments in (
        ["show", "--", name],
        ["get", "--", name, str(target)],
        ["verify", "--", name],
        ["provenance", "--", name],
        ["export", "--format", "hdf5", "--", name, str(target)],
        ["export", "--format", "ro-crate", "--", name, str(target)],
        ["export", "--format", "ome-zarr", "--", name, str(target)],
        ["tag", "--", name, "fine"],
    ):
        answer = CliRunner().invoke(app, [arguments[0], "--root", str(store), *arguments[1:]])
        assert answer.exit_code != 0, arguments
        assert isinstance(answer.exception, SystemExit), (arguments, answer.exception)
        assert "Traceback" not in answer.output
    assert list(tmp_path.rglob("*")) == []
    assert everything_beside(store) == before


@pytest.fixture(scope="module")
def door(store: Path) -> Iterator[int]:
    """Port of the repository's HTTP door."""
    port = find_free_port()
    with Catalogue(store / "catalogue.sqlite") as catalogue:
        served = HttpDoor(catalogue, RepositorySettings(root=store, http_port=port))
        served.start()
        yield port
        served.stop()
    assert threading.active_count() < 100


@hostile
def test_the_http_door_finds_nothing_under_it(store: Path, door: int, name: str) -> None:
    before = everything_beside(store)
    for spelled in {quote(name, safe=""), quote(name, safe="/\\:?#%*"), quote(quote(name, safe=""), safe="")}:
        if not spelled or any(ord(letter) <= 32 for letter in spelled):
            continue
        for path in (
            f"/datasets/{spelled}",
            f"/datasets/{spelled}/shards",
            f"/datasets/twin.s1/streams/{spelled}/frames",
            f"/datasets/twin.s1/shards/{spelled}/hdf5/meta",
        ):
            connection = http.client.HTTPConnection("127.0.0.1", door, timeout=20)
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
            connection.close()
            allowed = answer.status in (307, 400, 404, 405, 422)
            # `.` and an empty name are the folder itself, which is a list of names; a `?` begins a query.
            assert allowed or _is_the_list(path, body), (path, answer.status, body[:200])
            assert b"untouched" not in body
            assert b"root:" not in body
    assert everything_beside(store) == before


def _is_the_list(path: str, body: bytes) -> bool:
    plain = path.partition("?")[0].partition("#")[0]
    return plain.rstrip("/").endswith(("/datasets", "/shards", "/a")) or b"twin.s1" in body
