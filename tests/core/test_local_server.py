"""A server of another project is known to answer, or not, and where it shall listen."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from eucentric_core import ConfigurationError, LocalServer, ManagedProcess, answers_ok, local_address
from eucentric_core.transport import find_free_port

BECOME = """
import sys
from eucentric_core import LocalServer
server = sys.executable, "-c", "import os; print(os.getpid(), os.environ['MODE'])"
LocalServer("other", server, {"MODE": "quiet"}, "http://127.0.0.1:1", "/health").replace_this_process()
"""


class OtherProject(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/api/health" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # the name is the base class's
        return None


@contextmanager
def serving() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), OtherProject) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_server_is_healthy_when_its_health_page_says_so() -> None:
    with serving() as url:
        assert LocalServer("other", ("other",), {}, url, "/api/health").is_healthy()
        assert not LocalServer("other", ("other",), {}, url, "/health").is_healthy()


def test_what_is_not_there_or_speaks_no_http_is_not_healthy() -> None:
    assert not answers_ok(f"http://127.0.0.1:{find_free_port()}/health")
    with socket.create_server(("127.0.0.1", 0)) as mute:

        def chatter() -> None:
            connection, _ = mute.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(b"SSH-2.0-OpenSSH\r\n")

        thread = threading.Thread(target=chatter, daemon=True)
        thread.start()
        assert not answers_ok(f"http://127.0.0.1:{mute.getsockname()[1]}/health")
        thread.join()


@pytest.mark.skipif(sys.platform == "win32", reason="exec of POSIX")
def test_a_command_becomes_the_server_and_keeps_its_process(tmp_path: Path) -> None:
    process = ManagedProcess("other", [sys.executable, "-c", BECOME], log=tmp_path / "out.log")
    process.wait_finished(timeout_s=30)
    assert process.log.read_text() == f"{process.pid} quiet\n"


def test_an_address_says_where_to_listen() -> None:
    where = {"setting": "hub.other_url", "example": "http://127.0.0.1:PORT"}
    assert local_address("http://127.0.0.1:4200/api", **where) == ("127.0.0.1", 4200)
    for url in ("https://127.0.0.1:4200", "http://127.0.0.1", "127.0.0.1:4200"):
        with pytest.raises(ConfigurationError, match=r"^hub\.other_url '.*' names no local port") as caught:
            local_address(url, **where)
        assert caught.value.next_step == "give it as http://127.0.0.1:PORT."
