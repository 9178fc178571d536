"""SIMULATED Globus Compute: the web service, for tests, between the real client and a real endpoint engine.

The service is this project's reading of the client library. What it forwards is real: functions and results
as the library packs them, a RabbitMQ that carries them, and the engine, in a process beside, that runs them.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pika
import pytest
from globus_compute_common import messagepack
from globus_compute_common.messagepack.message_types import Task

from eucentric_core import GlobusSettings

from .globus import GlobusEmulator
from .globus_auth import COMPUTE_SERVER, Auth
from .globus_service import register_service
from .rabbitmq import running_rabbitmq

__all__ = ["ComputeService", "running_compute", "running_endpoint"]

_STOP_TIMEOUT_S = 40.0
_SUBMIT = re.compile(r"/v3/endpoints/([^/]+)/submit")


class ComputeService:
    """Takes functions and tasks, and passes tasks on to the queue of their endpoint.

    Args:
        auth: whose tokens it accepts.
        amqp: address of the broker.
    """

    def __init__(self, auth: Auth, amqp: str) -> None:
        self.auth = auth
        self.amqp = amqp
        self.functions: dict[str, str] = {}
        handler = type("Handler", (_Handler,), {"service": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="compute")
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def submit(self, endpoint: str, request: dict[str, Any]) -> dict[str, Any]:
        """Queue the tasks of a request."""
        group = request.get("task_group_id") or str(uuid.uuid4())
        ids: dict[str, list[str]] = {}
        connection = pika.BlockingConnection(pika.URLParameters(self.amqp))
        try:
            channel = connection.channel()
            channel.queue_declare(group, durable=False)
            channel.queue_declare(endpoint, durable=False)
            for function, payloads in request["tasks"].items():
                for payload in payloads:
                    task = uuid.uuid4()
                    ids.setdefault(function, []).append(str(task))
                    packed = messagepack.pack(
                        Task(task_id=task, task_buffer=self.functions[function] + payload)
                    )
                    headers = {
                        "group": group,
                        "function": function,
                        "serializers": json.dumps(request.get("result_serializers")),
                    }
                    channel.basic_publish("", endpoint, packed, pika.BasicProperties(headers=headers))
        finally:
            connection.close()
        return {
            "tasks": ids,
            "task_group_id": group,
            "request_id": str(uuid.uuid4()),
            "endpoint_id": endpoint,
        }

    def answer(self, path: str, authorization: str | None, body: bytes) -> tuple[int, dict[str, Any]]:
        """Status and answer to a request."""
        if path == "/v2/version":
            return 200, {"api": "1.0.0", "min_ep_version": "2.0.0", "min_sdk_version": "2.0.0"}
        token = self.auth.tokens.get((authorization or "").removeprefix("Bearer "))
        if token is None or token.server != COMPUTE_SERVER or token.expires_at_s < time.time():
            return 401, _refusal(401, "UNAUTHENTICATED", "no valid token")
        if path == "/v2/get_amqp_result_connection_url":
            return 200, {"queue_prefix": "", "connection_url": self.amqp}
        if path in ("/v2/functions", "/v3/functions"):
            function = str(uuid.uuid4())
            self.functions[function] = json.loads(body)["function_code"]
            return 200, {"function_uuid": function}
        if found := _SUBMIT.fullmatch(path):
            return 200, self.submit(found[1], json.loads(body))
        return 404, _refusal(404, "NOT_FOUND", path)


def _refusal(status: int, code: str, reason: str) -> dict[str, Any]:
    return {"code": code, "reason": reason, "http_status_code": status, "status": "Failed", "error_args": []}


class _Handler(BaseHTTPRequestHandler):
    service: ComputeService
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, _ = self.path.partition("?")
        status, answer = self.service.answer(path, self.headers.get("Authorization"), body)
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _answer  # noqa: N815 - the standard library's names

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def running_compute(globus: GlobusEmulator, folder: Path) -> Iterator[tuple[Path, GlobusSettings]]:
    """Broker, service and an endpoint with two workers: its site file, and who we are at Globus."""
    from globus_compute_sdk.sdk import client

    endpoint, site = str(uuid.uuid4()), folder / "site.toml"
    site.write_text(
        f'name = "somebody-elses"\n[globus_compute]\nendpoint = "{endpoint}"\n'
        "submissions = 8\nsubmissions_period_s = 1\n"
    )
    account = register_service(globus, folder)
    with running_rabbitmq() as amqp, running_endpoint(amqp, endpoint, folder):
        service = ComputeService(globus.auth, amqp)
        # The library has a table of addresses and no setting for another one.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(client, "get_web_service_url", lambda _environment=None: service.url)
            try:
                yield site, GlobusSettings.model_validate({**account, "folder": folder / "globus"})
            finally:
                service.close()


@contextmanager
def running_endpoint(amqp: str, endpoint: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Start an endpoint with two workers; stopped at the end."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONFAULTHANDLER": "1"}
    with (folder / "endpoint.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, str(Path(__file__).with_name("globus_compute_endpoint_process.py"))),
                *(amqp, endpoint, str(folder)),
            ],
            stdout=subprocess.PIPE,
            stderr=log,
            stdin=subprocess.PIPE,
            text=True,
            env=environment,
        )
    assert process.stdout is not None
    assert process.stdin is not None
    with process, process.stdout, process.stdin:
        try:
            said = process.stdout.readline()
            assert said == "ready\n", (folder / "endpoint.log").read_text(errors="replace")[-2000:]
            yield process
        finally:
            process.stdin.close()
            try:
                process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
