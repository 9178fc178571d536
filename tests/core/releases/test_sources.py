"""Releases are read from a folder, a bucket or a web server, and from none of them more than is allowed."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from eucentric_core import (
    DataFormatError,
    EucentricError,
    IntegrityError,
    ReleaseRefusedError,
    ReleaseUnreachableError,
    S3Settings,
)
from eucentric_core.releases import HttpSource, ReleaseSource, ReleaseTrust
from eucentric_transfer import MoverOptions, PosixMover, open_mover

from ...servers.http_relay import Relay
from .site import MODEL, Site

Open = Callable[[Site], ReleaseSource]


class _Pages(BaseHTTPRequestHandler):
    """Serves the files of a site; what is missing is 404, `endless` never ends."""

    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        """A test reads no log."""

    def do_GET(self) -> None:
        site, name = self.server.site, self.path.lstrip("/")
        self.server.asked.append(name)
        if name in self.server.moved:
            self.send_response(302)
            self.send_header("Location", f"/{self.server.moved[name]}")
            self.end_headers()
            return
        if self.server.status is not None:
            self.send_error(self.server.status)
            return
        content = site.files.get(name)
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        if name == self.server.endless:
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b" " * 65_536)
            except OSError:
                return
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    site: Site
    endless: str | None = None
    status: int | None = None

    def __init__(self, site: Site) -> None:
        super().__init__(("127.0.0.1", 0), _Pages)
        self.site = site
        self.asked: list[str] = []
        self.moved: dict[str, str] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def web(site: Site) -> Iterator[_Server]:
    server = _Server(site)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def written(site: Site, folder: Path) -> Path:
    for name, content in site.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def trust(site: Site, folder: Path) -> ReleaseTrust:
    root = folder / "root.json"
    root.write_bytes(site.files["metadata/1.root.json"])
    return ReleaseTrust(folder / "trust", root)


def test_a_folder_and_a_web_server_say_the_same(tmp_path: Path) -> None:
    site = Site()
    folder = PosixMover(written(site, tmp_path / "share"))
    found = trust(site, tmp_path).newest(MODEL, folder)
    with web(site) as server:
        source = HttpSource(server.url)
        assert trust(site, tmp_path).newest(MODEL, source) == found
        site.rotate("timestamp", "timestamp-b")
        site.release()
        newer = trust(site, tmp_path).newest(MODEL, source)
        source.close()
    assert found is not None
    assert newer is not None
    assert (found.number, newer.number) == (1, 2)


@pytest.mark.slow
def test_a_bucket_says_the_same(tmp_path: Path, bucket: str, s3_relay: Relay, s3_credentials: Path) -> None:
    site = Site()
    settings = S3Settings(endpoint=s3_relay.url, credentials=s3_credentials, attempts=1)
    mover = open_mover(f"s3://{bucket}/releases", options=MoverOptions(s3=settings))
    for name, content in site.files.items():
        mover.put_bytes(content, name)
    known = trust(site, tmp_path)
    release = known.newest(MODEL, mover)
    assert release is not None
    assert release.number == 1
    s3_relay.gone = True
    with pytest.raises(ReleaseUnreachableError):
        known.newest(MODEL, mover)
    assert known.view.problem is not None
    s3_relay.well()
    assert known.newest(MODEL, mover) == release
    mover.close()


def test_a_server_that_sends_without_end_is_cut_off(tmp_path: Path) -> None:
    site = Site()
    with web(site) as server:
        server.endless = "metadata/timestamp.json"
        source = HttpSource(server.url)
        with pytest.raises(ReleaseRefusedError, match="longer than it may be"):
            trust(site, tmp_path).newest(MODEL, source)
        source.close()


def test_a_server_that_fails_is_not_one_without_a_newer_root(tmp_path: Path) -> None:
    site = Site()
    with web(site) as server:
        server.status = 500
        source = HttpSource(server.url)
        with pytest.raises(ReleaseUnreachableError, match="500"):
            trust(site, tmp_path).newest(MODEL, source)
        source.close()
    with pytest.raises(ReleaseUnreachableError):
        trust(site, tmp_path).newest(MODEL, HttpSource(server.url, timeout_s=1.0))


def test_nobody_is_sent_elsewhere(tmp_path: Path) -> None:
    site = Site()
    with web(site) as server:
        server.moved["metadata/timestamp.json"] = "metadata/1.root.json"
        source = HttpSource(server.url)
        with pytest.raises(ReleaseUnreachableError, match="302"):
            trust(site, tmp_path).newest(MODEL, source)
        assert server.asked.count("metadata/timestamp.json") == 1
        source.close()


def test_a_file_arrives_whole_and_as_it_was_signed_or_not_at_all(tmp_path: Path) -> None:
    site = Site()
    site.files["bundles/atoms/v000001/weights"] = content = b"w" * 300_000
    good, target = hashlib.sha256(content).hexdigest(), tmp_path / "weights"
    with web(site) as server:
        source = HttpSource(server.url)
        with pytest.raises(IntegrityError, match="another content"):
            source.get("bundles/atoms/v000001/weights", target, sha256="0" * 64)
        with pytest.raises(ReleaseUnreachableError, match="not there"):
            source.get("bundles/atoms/v000001/others", target, sha256=good)
        assert list(tmp_path.iterdir()) == []
        source.get("bundles/atoms/v000001/weights", target, sha256=good)
        assert target.read_bytes() == content
        with pytest.raises(DataFormatError):
            source.read_many(["bundles/atoms/v000001/weights"], max_bytes=1000)
        source.close()


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"signed": {"_type": "root"}, "signatures": []}'])
def test_a_root_that_is_none_stops_the_start(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "root.json").write_bytes(content)
    with pytest.raises(EucentricError, match=r"root\.json"):
        ReleaseTrust(tmp_path / "trust", tmp_path / "root.json")
    with pytest.raises(EucentricError, match="cannot be read"):
        ReleaseTrust(tmp_path / "trust", tmp_path / "none.json")


def test_a_root_that_others_signed_stops_the_start(tmp_path: Path) -> None:
    site = Site()
    site.put("root", site.sign("root", site.root, by=("stranger",)))
    with pytest.raises(EucentricError, match="signs for itself"):
        trust(site, tmp_path)
