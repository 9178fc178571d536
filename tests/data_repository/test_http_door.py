"""The HTTP door: real server, real client; slices across shards, hostile names, limits, mutual TLS."""

from __future__ import annotations

import io
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import h5py
import httpx
import numpy as np
import pytest
import tifffile
from PIL import Image

from eucentric_core import (
    ConfigurationError,
    FrameHeader,
    RepositorySettings,
    RetentionRule,
    TlsSettings,
    load_settings,
)
from eucentric_core.security import client_context
from eucentric_core.transport import find_free_port
from eucentric_data_repository import Curator, Database, prune
from eucentric_data_repository.http_door import HttpDoor, _app, _hdf5, _peer
from eucentric_data_repository.http_door._errors import SelectionError
from eucentric_transfer import _shard_codec, _shard_reader

from ..core.certificates import Site
from ..frames import frame_around


@contextmanager
def open_door(repository: Any, **settings: Any) -> Iterator[str]:
    port = find_free_port()
    with repository.catalogue() as catalogue:
        door = HttpDoor(catalogue, RepositorySettings(http_port=port, **settings))
        door.start()
        try:
            yield f"{'https' if settings.get('tls') else 'http'}://127.0.0.1:{port}"
        finally:
            door.stop()


def image(sequence: int) -> Any:
    array = (np.arange(6 * 8, dtype=np.uint16).reshape(6, 8) + 100 * sequence).astype(np.uint16)
    return frame_around(array, sequence, sample="grid-1")


def truth(sequence: int) -> Any:
    return frame_around(np.full((sequence, 3), sequence, np.float32), sequence, "truth", classes=("mo",))


@pytest.fixture
def database(repository_folders: Any) -> Database:
    """What the door shows does not depend on the kind of database; one is enough here."""
    return Database.at(repository_folders.database)


@pytest.fixture
def filled(repository: Any, sender: Any) -> Any:
    """Sequence numbers 0 to 3 and 4, 6, 7 in two shards of images and their truths."""
    shards = []
    for index, numbers in enumerate(([0, 1, 2, 3], [4, 6, 7])):
        frames = [make(number) for number in numbers for make in (image, truth)]
        shards.append(sender.seal_frames(frames, index=index))
        sender.deliver(shards[-1])
    sender.deliver_manifest(sender.manifest(*shards, missing=(5,)))
    repository.ingest()
    return repository


@pytest.fixture
def client(filled: Any) -> Iterator[httpx.Client]:
    with open_door(filled) as url, httpx.Client(base_url=url, timeout=30) as client:
        yield client


EVERYWHERE = ".".join("0000")

FRAMES = "/datasets/twin.s1/streams/haadf/frames"


def test_the_catalogue_is_searched_and_shown(client: httpx.Client, filled: Any) -> None:
    assert client.get("/health").json()["state"] == "serving"
    with Curator(filled.database, by="ada") as curator:
        curator.tag("twin.s1", ["good"])
    found = client.get("/datasets", params={"sample": "grid-1", "tag": "good", "high_tension_v_max": 60e3})
    assert [entry["dataset_id"] for entry in found.json()["datasets"]] == ["twin.s1"]
    assert client.get("/datasets", params={"material": "gold"}).json()["total"] == 0
    assert client.get("/datasets/twin.s1").json()["entry"]["frames"] == 7
    shards = client.get("/datasets/twin.s1/shards").json()["shards"]
    assert [shard["shard"]["first_sequence"] for shard in shards] == [0, 4]
    assert str(filled.folders.root) not in str(shards)
    assert "entity" in client.get("/datasets/twin.s1/provenance").json()
    headers = client.get("/datasets/twin.s1/streams/haadf/headers", params={"start": 6}).json()["headers"]
    assert [(header["sequence"], header["axes"][0]["unit"]) for header in headers] == [(6, "m"), (7, "m")]


def test_of_frames_that_were_not_asked_for_not_one_is_unpacked(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked: list[int] = []
    restore = _shard_codec.restore_array

    def count(content: bytes, mask: int, header: FrameHeader) -> Any:
        unpacked.append(header.sequence)
        return restore(content, mask, header)

    monkeypatch.setattr(_shard_reader, "restore_array", count)
    cases: tuple[tuple[dict[str, str], list[int]], ...] = (
        ({"start": "1", "stop": "3"}, [1, 2]),
        ({"start": "3", "stop": "5", "rows": "1:2"}, [3, 4]),
    )
    for asked, expected in cases:
        unpacked.clear()
        assert client.get(FRAMES, params=asked).status_code == 200
        assert unpacked == expected


def test_what_a_parameter_is_refused_for_keeps_its_letters(client: httpx.Client) -> None:
    refused = client.get(FRAMES, params={"format": "EXE"}).json()["error"]
    assert refused["what"].startswith("format: input should be 'npy'")
    assert "'NPY'" not in refused["what"]
    since = client.get("/datasets", params={"since": "Yesterday"}).json()["error"]
    assert since["what"].startswith("since: input should be a valid datetime or date")


def test_a_slice_of_a_stream_comes_across_shards(client: httpx.Client) -> None:
    answer = client.get(FRAMES, params={"start": 3, "stop": 7, "rows": "1:3", "columns": "5:"})
    assert answer.status_code == 200
    assert answer.headers["x-eucentric-sequences"] == "3-4,6"
    array = np.load(io.BytesIO(answer.content), allow_pickle=False)
    expected = np.stack([image(n).array[1:3, 5:] for n in (3, 4, 6)])
    assert array.dtype == np.uint16
    assert np.array_equal(array, expected)
    whole = np.load(io.BytesIO(client.get(FRAMES).content), allow_pickle=False)
    assert whole.shape == (7, 6, 8)
    row = np.load(io.BytesIO(client.get(FRAMES, params={"rows": "2"}).content), allow_pickle=False)
    assert np.array_equal(row[0], image(0).array[2:3])


def test_only_the_shards_that_are_touched_are_opened(client: httpx.Client, filled: Any) -> None:
    with filled.catalogue() as catalogue:
        catalogue.shards()[0].path.write_bytes(b"rotten")
    assert client.get(FRAMES, params={"start": 4}).status_code == 200
    broken = client.get(FRAMES, params={"start": 3})
    assert (broken.status_code, broken.json()["error"]["code"]) == (500, "integrity")


def test_frames_of_differing_shape_come_as_json(client: httpx.Client) -> None:
    url = "/datasets/twin.s1/streams/truth/frames"
    refused = client.get(url, params={"start": 1, "stop": 3})
    assert refused.status_code == 422
    assert "format=json" in refused.json()["error"]["next_step"]
    frames = client.get(url, params={"start": 1, "stop": 3, "format": "json"}).json()["frames"]
    assert [len(frame["values"]) for frame in frames] == [1, 2]
    assert frames[1]["header"]["classes"] == ["mo"]
    one = client.get(url, params={"start": 2, "stop": 3})
    assert np.load(io.BytesIO(one.content), allow_pickle=False).shape == (1, 2, 3)


def test_pictures_are_what_other_programs_read(client: httpx.Client) -> None:
    tiff = client.get(FRAMES, params={"start": 0, "stop": 2, "format": "tiff"})
    assert np.array_equal(
        tifffile.imread(io.BytesIO(tiff.content)), np.stack([image(0).array, image(1).array])
    )
    png = client.get(FRAMES, params={"start": 1, "stop": 2, "format": "png"})
    assert (png.headers["x-eucentric-black"], png.headers["x-eucentric-white"]) == ("100.0", "147.0")
    grey = np.asarray(Image.open(io.BytesIO(png.content)))
    assert (grey.shape, grey.min(), grey.max()) == ((6, 8), 0, 255)
    assert client.get(FRAMES, params={"format": "png"}).status_code == 422


IMPOSSIBLE: list[tuple[str, dict[str, Any], int]] = [
    ("/datasets/twin.nothing", {}, 404),
    ("/datasets/twin.s1/streams/eels/frames", {}, 422),
    (FRAMES, {"start": 100}, 422),
    (FRAMES, {"start": -1}, 422),
    (FRAMES, {"rows": "6:9"}, 422),
    (FRAMES, {"rows": "-3:"}, 422),
    (FRAMES, {"rows": "a"}, 422),
    (FRAMES, {"rows": "0:2:2"}, 422),
    (FRAMES, {"format": "exe"}, 422),
    ("/datasets", {"high_tension_v_min": "much"}, 422),
    ("/datasets", {"colour": "red"}, 422),
    ("/datasets", {"since": "2026-11-01"}, 422),
    ("/datasets", {"text": "\x00"}, 422),
    ("/nowhere", {}, 404),
]


def test_what_cannot_be_is_said(client: httpx.Client) -> None:
    for url, params, status in IMPOSSIBLE:
        answer = client.get(url, params=params)
        assert answer.status_code == status, (url, params)
        if url != "/nowhere":
            assert set(answer.json()["error"]) == {"code", "what", "safe", "next_step", "details"}


HOSTILE = [
    "..",
    "%2e%2e",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e%2f%2e%2e%2fcatalogue.sqlite",
    "..%5c..%5cwindows",
    "%2fetc%2fpasswd",
    "C%3a%5cboot.ini",
    "CON",
    "a%00b",
    "twin.s1%00",
    "x" * 400,
    "%ff%fe",
    "twin.s1%0a",
    "%e2%80%a4%e2%80%a4",
    "twin.s1;ls",
    "'%20OR%201=1--",
]


def test_a_hostile_name_finds_nothing(client: httpx.Client, filled: Any) -> None:
    (filled.folders.root / "secret.h5").write_bytes(b"secret")
    for name in HOSTILE:
        _finds_nothing(client, name)


def _finds_nothing(client: httpx.Client, name: str) -> None:
    for url in (
        f"/datasets/{name}",
        f"/datasets/{name}/shards",
        f"/datasets/{name}/streams/haadf/frames",
        f"/datasets/twin.s1/streams/{name}/frames",
        f"/datasets/twin.s1/shards/{name}/hdf5/meta",
        f"/datasets/twin.s1/shards/{name}/hdf5/data?path=/",
    ):
        answer = client.get(httpx.URL(str(client.base_url).rstrip("/") + url))
        assert 400 <= answer.status_code < 500, url
        assert b"secret" not in answer.content


def test_the_paths_of_a_shards_hdf5_are_read_by_h5grove(client: httpx.Client) -> None:
    (first, _) = client.get("/datasets/twin.s1/shards").json()["shards"]
    shard = first["shard"]
    name = f"{shard['instrument']}_{shard['session']}_{shard['index']:06d}_{shard['sha256'][:12]}.h5"
    base = f"/datasets/twin.s1/shards/{name}/hdf5"
    top = client.get(f"{base}/meta").json()
    assert "entry" in [child["name"] for child in top["children"]]
    data = client.get(f"{base}/meta", params={"path": "/entry/haadf/data"}).json()
    assert data["shape"] == [4, 6, 8]
    part = client.get(
        f"{base}/data", params={"path": "/entry/haadf/data", "selection": "1,2:4,:", "format": "npy"}
    )
    assert np.array_equal(np.load(io.BytesIO(part.content), allow_pickle=False), image(1).array[2:4])
    assert client.get(f"{base}/attr", params={"attr_keys": "session"}).json() == {"session": "s1"}
    for wrong in ({"path": "/entry"}, {"path": "/entry/haadf/data", "selection": "9,x"}, {"path": "/../x"}):
        assert client.get(f"{base}/data", params=wrong).status_code == 422


def test_links_out_of_a_shard_are_not_followed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["values"] = np.arange(3)
    path = tmp_path / "shard.h5"
    with h5py.File(path, "w") as file:
        file["own"] = np.arange(4)
        file["outside"] = h5py.ExternalLink("secret.h5", "/values")
        file["soft"] = h5py.SoftLink("/own")
        layout = h5py.VirtualLayout(shape=(3,), dtype=int)
        layout[:] = h5py.VirtualSource(tmp_path / "secret.h5", "values", shape=(3,))
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("raw", (4,), np.uint8, external=[(str(tmp_path / "secret.h5"), 0, 4)])
    assert _hdf5.data(path, "/own", None, "json", 1000).content == b"[0,1,2,3]"
    for name in ("/outside", "/soft", "/virtual", "/raw", "/outside/x"):
        with pytest.raises(SelectionError):
            _hdf5.data(path, name, None, "json", 1000)
    listed = _hdf5.metadata(path, "/").content
    assert listed.count(b'"kind":"link"') == 2
    assert b"secret" not in listed


def test_more_than_the_limit_is_refused_before_it_is_read(repository: Any, sender: Any) -> None:
    frames = [frame_around(np.zeros((512, 1024), np.uint16), n) for n in range(2)]
    sender.deliver(sender.seal_frames(frames))
    repository.ingest()
    with (
        open_door(repository, http_max_response_bytes=1 << 20) as url,
        httpx.Client(base_url=url) as client,
    ):
        refused = client.get(FRAMES)
        assert refused.status_code == 413
        assert "fewer frames" in refused.json()["error"]["next_step"]
        assert client.get(FRAMES, params={"stop": 1}).status_code == 200
        assert client.get(FRAMES, params={"rows": ":256"}).status_code == 200
        (entry,) = client.get("/datasets/twin.s1/shards").json()["shards"]
        with repository.catalogue() as catalogue:
            name = catalogue.shards()[0].shard.file_name
        data = f"/datasets/twin.s1/shards/{name}/hdf5/data"
        assert entry["dataset_id"] == "twin.s1"
        whole = client.get(data, params={"path": "/entry/haadf/data", "format": "npy"})
        part = client.get(data, params={"path": "/entry/haadf/data", "format": "npy", "selection": "0,:,:"})
        assert (whole.status_code, part.status_code) == (413, 200)


def test_headers_are_bounded_as_frames_are(
    repository: Any, sender: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The arrays would be too large, and are not what is asked for.
    array = np.zeros((1024, 1024), np.uint16)
    frames = [frame_around(array, n, vendor_metadata={"note": "x" * 60_000}) for n in range(24)]
    sender.deliver(sender.seal_frames(frames))
    repository.ingest()
    address = FRAMES.replace("frames", "headers")
    with (
        open_door(repository, http_max_response_bytes=1 << 20) as url,
        httpx.Client(base_url=url) as client,
    ):
        assert client.get(address).status_code == 413
        assert len(client.get(address, params={"stop": 3}).json()["headers"]) == 3
    monkeypatch.setattr(_app, "_READERS", 0)
    monkeypatch.setattr(_app, "_READER_WAIT_S", 0.01)
    with open_door(repository) as url, httpx.Client(base_url=url) as client:
        assert client.get(address, params={"stop": 3}).status_code == 503


def test_a_pruned_shard_is_gone_and_says_why(client: httpx.Client, filled: Any) -> None:
    rule = RetentionRule(name="at once", keep="days", days=0)
    with filled.catalogue() as catalogue:
        assert all(f.deleted for f in prune(catalogue, [rule], [], lambda _: None, dry_run=False))  # type: ignore[arg-type, return-value]
    gone = client.get(FRAMES)
    assert gone.status_code == 410
    assert "rule 'at once'" in gone.json()["error"]["what"]


def test_a_web_page_cannot_read_through_a_name_of_its_own(client: httpx.Client) -> None:
    assert client.get("/health", headers={"host": "evil.example"}).status_code == 400


def test_a_connection_without_a_request_is_closed(filled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_peer, "_REQUEST_TIMEOUT_S", 0.2)
    with open_door(filled) as url:
        port = int(url.rpartition(":")[2])
        for sent in (b"", b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: "):
            with socket.create_connection(("127.0.0.1", port), timeout=20) as silent:
                silent.sendall(sent)
                with suppress(ConnectionResetError):
                    assert silent.recv(1) == b""
        assert httpx.get(f"{url}/health").status_code == 200


def test_more_connections_than_there_are_places_are_told_so(filled: Any) -> None:
    with open_door(filled) as url:
        port = int(url.rpartition(":")[2])
        silent = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(70)]
        try:
            assert httpx.get(f"{url}/health", timeout=20).status_code == 503
        finally:
            for connection in silent:
                connection.close()
        answers = [httpx.get(f"{url}/health", timeout=20).status_code for _ in range(20)]
        assert answers[-1] == 200


def test_off_the_machine_the_door_wants_certificates() -> None:
    with pytest.raises(ConfigurationError, match="leaves the machine"):
        load_settings(flags={"repository": {"http_port": 4332, "http_host": EVERYWHERE}}, environment={})
    # Behind the settings' back as well.
    unchecked = RepositorySettings.model_construct(
        **{**RepositorySettings().model_dump(), "http_port": 4332, "http_host": EVERYWHERE}
    )
    with pytest.raises(ConfigurationError, match="open to the network"):
        HttpDoor(None, unchecked)  # type: ignore[arg-type]


def test_a_port_in_use_is_one_clear_sentence(filled: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, filled.catalogue() as catalogue:
        settings = RepositorySettings(http_port=taken.getsockname()[1])
        with pytest.raises(ConfigurationError, match="cannot listen"):
            HttpDoor(catalogue, settings)


def status_for(url: str, credentials: TlsSettings) -> int:
    with httpx.Client(verify=client_context(credentials), timeout=20) as client:
        return client.get(f"{url}/health").status_code


def test_mutual_tls_lets_people_of_the_site_in_and_nobody_else(filled: Any, tmp_path: Path) -> None:
    site, other = Site(tmp_path / "site"), Site(tmp_path / "other", name="other")
    ada, bob = site.person("ada"), site.person("bob")
    with open_door(filled, tls=site.server()) as url:
        assert status_for(url, ada) == 200
        # Signed by the authority, but nobody with a role.
        assert status_for(url, site.forged()) == 403
        # A machine's certificate is no person's.
        with pytest.raises(httpx.TransportError):
            status_for(url, site.server("127.0.0.1"))
        stranger = other.person("eve").model_copy(update={"authority": ada.authority})
        for refused in (stranger, None):
            context = ssl.create_default_context(cafile=str(ada.authority))
            if refused is not None:
                context.load_cert_chain(refused.certificate, refused.key)
            with httpx.Client(verify=context, timeout=20) as client, pytest.raises(httpx.TransportError):
                client.get(f"{url}/health")
        with httpx.Client(verify=client_context(bob), base_url=url, timeout=20) as kept:
            assert kept.get("/health").status_code == 200
            site.authority.revoke("bob")
            # In the connection that is open, too.
            answer = kept.get("/health")
        assert answer.status_code == 403
        assert "revoked" in answer.json()["error"]["what"]
        assert status_for(url, ada) == 200


def test_fastapi_is_loaded_only_where_there_is_a_door() -> None:
    modules = "eucentric_data_repository, eucentric_data_repository.data_cli"
    code = f"import sys, {modules}; print('fastapi' in sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert loaded.stdout.strip() == "False", loaded.stderr


def test_damaged_pixels_are_never_given(client: httpx.Client, filled: Any) -> None:
    assert client.get(FRAMES).status_code == 200
    with filled.catalogue() as catalogue:
        entry = catalogue.shards()[0]
    with h5py.File(entry.path) as shard:
        named: list[Any] = []
        shard.visititems(lambda _name, item: named.append(item) if isinstance(item, h5py.Dataset) else None)
        chunks = [item.id.get_chunk_info(0) for item in named if item.chunks and item.ndim == 3]
    content = bytearray(entry.path.read_bytes())
    content[chunks[0].byte_offset + chunks[0].size - 1] ^= 1
    entry.path.write_bytes(content)
    hdf5 = f"/datasets/twin.s1/shards/{entry.shard.file_name}/hdf5/meta"
    for address in (FRAMES, FRAMES.replace("frames", "headers"), hdf5):
        damaged = client.get(address)
        assert (damaged.status_code, damaged.json()["error"]["code"]) == (500, "integrity"), address
        assert "eucentric data verify" in damaged.json()["error"]["next_step"]
    assert client.get(FRAMES, params={"start": 4}).status_code == 200


def test_a_root_that_is_away_is_said_so(client: httpx.Client, filled: Any) -> None:
    root = filled.folders.root
    root.rename(root.with_name("away"))
    root.mkdir()
    health, frames = client.get("/health"), client.get(FRAMES)
    assert (health.status_code, health.json()["state"]) == (503, "root away")
    assert frames.status_code == 503
    assert "mount it" in frames.json()["error"]["next_step"]
    root.rmdir()
    root.with_name("away").rename(root)
    assert (client.get("/health").status_code, client.get(FRAMES).status_code) == (200, 200)


def test_a_refused_parameter_points_to_a_page_that_is_there(client: httpx.Client) -> None:
    refused = client.get(FRAMES, params={"start": -1})
    page = refused.json()["error"]["next_step"].split()[0]
    assert (refused.status_code, client.get(page).status_code) == (422, 200)
