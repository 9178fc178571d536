"""SIMULATED Globus: an emulator of the Auth and Transfer services, for tests, that really moves files.

The real globus-sdk speaks to it, unchanged, where its two variables say so:

    with GlobusEmulator({collection: Collection(folder)}) as globus:
        os.environ.update(globus.environment)

By hand: `python -m tests.servers.globus UUID=/folder UUID=/other:mapped` prints the variables, an
application's id and its secret, and runs until it is interrupted. It is this project's reading of Globus's
documentation and of what globus-sdk recorded, no proof of how the cloud behaves (docs/globus.md says what was
tested against what).
"""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from .globus_auth import Auth, Refusal, Token
from .globus_model import Collection, Faults
from .globus_tasks import Tasks

__all__ = ["Collection", "Faults", "GlobusEmulator"]

_PAGE = 50
_TASK = re.compile(r"/v0\.10/task/([^/]+)(?:/(\w+))?")
_OPERATION = re.compile(r"/v0\.10/operation/endpoint/([^/]+)/(ls|stat|mkdir|rename)")


class GlobusEmulator:
    """Both services on one port of this machine.

    Args:
        collections: folders by the id of their collection.
        access_token_lifetime_s: of the tokens it issues.
    """

    def __init__(
        self, collections: Mapping[str, Collection], *, access_token_lifetime_s: int = 172800
    ) -> None:
        self.auth = Auth(access_token_lifetime_s=access_token_lifetime_s)
        self.tasks = Tasks(self.auth, collections)
        self.requests: list[tuple[str, str]] = []
        handler = type("Handler", (_Handler,), {"emulator": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="globus")

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_port)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}/"

    @property
    def environment(self) -> dict[str, str]:
        """What makes globus-sdk speak to it."""
        return self.environment_at(self.port)

    @staticmethod
    def environment_at(port: int) -> dict[str, str]:
        """What makes globus-sdk speak to a port of this machine, where a link to the emulator may begin."""
        address = f"http://127.0.0.1:{port}/"
        return {f"GLOBUS_SDK_SERVICE_URL_{service}": address for service in ("AUTH", "TRANSFER")}

    @property
    def collections(self) -> dict[str, Collection]:
        """The collections; changes count at once."""
        return self.tasks.collections

    @property
    def faults(self) -> Faults:
        """What is wrong with it; changes count at once."""
        return self.tasks.faults

    def mend(self) -> None:
        """No fault any more."""
        self.tasks.faults = Faults()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self.tasks.close()

    def answer(self, method: str, target: str, headers: Mapping[str, str], raw: bytes) -> Any:
        """What a request gets.

        Raises:
            Refusal: it gets an error.
        """
        parts = urlsplit(target)
        path, query = parts.path.rstrip("/"), dict(parse_qsl(parts.query))
        self.requests.append((method, path))
        if (instead := self.faults.answer(path)) is not None:
            raise Refusal(instead[0], "ServiceUnavailable", "as the test wanted it", headers=instead[1])
        if path.startswith("/v0.10"):
            token = self.auth.caller(headers.get("Authorization"), "transfer.api.globus.org")
            return self._transfer(method, path, query, json.loads(raw) if raw else {}, token)
        return self._auth(method, path, query, headers, raw)

    def _auth(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], raw: bytes
    ) -> Any:
        form = dict(parse_qsl(raw.decode())) if method == "POST" else {}
        authorization = headers.get("Authorization")
        match path:
            case "/v2/oauth2/token":
                return self.auth.token(form, authorization)
            case "/v2/oauth2/token/revoke":
                return self.auth.revoke(form)
            case "/v2/oauth2/authorize":
                raise Refusal(302, "Found", "agreed", headers={"Location": self.auth.authorize(query)})
            case "/v2/web/auth-code":
                return {"code": query["code"]}
            case "/.well-known/openid-configuration":
                return {
                    "issuer": self.url,
                    "jwks_uri": f"{self.url}jwk.json",
                    "id_token_signing_alg_values_supported": ["RS256"],
                }
            case "/jwk.json":
                return self.auth.key()
        token = self.auth.caller(authorization, "auth.globus.org")
        if path == "/v2/oauth2/userinfo":
            return {"sub": token.identity, "preferred_username": "anna@emulated.example"}
        if path.startswith("/v2/api/identities/") and path.endswith("/consents"):
            return self.auth.consent_documents(token)
        raise Refusal(404, "NOT_FOUND", path)

    def _transfer(self, method: str, path: str, query: Mapping[str, str], body: Any, token: Token) -> Any:
        tasks = self.tasks
        if path == "/v0.10/submission_id":
            return {"value": tasks.submission_id()}
        if path in ("/v0.10/transfer", "/v0.10/delete") and method == "POST":
            accepted = tasks.submit(path.rpartition("/")[2], body, token)
            if self.faults.takes("drop_reply"):
                raise ConnectionAbortedError
            return accepted
        if path == "/v0.10/task_list":
            return self._task_list(query, token)
        if (asked := _TASK.fullmatch(path)) is not None:
            return self._task(asked[1], asked[2], query, token)
        if (asked := _OPERATION.fullmatch(path)) is not None:
            return tasks.operate(asked[1], asked[2], query, body, token)
        if path.startswith("/v0.10/endpoint/"):
            return self._endpoint(path.rpartition("/")[2])
        raise Refusal(404, "ClientError.NotFound", path)

    def _endpoint(self, name: str) -> dict[str, Any]:
        found = self.collections.get(name)
        if found is None:
            raise Refusal(404, "EndpointNotFound", f"No such endpoint '{name}'")
        kind = "GCP" if found.personal else "GCSv5"
        return {
            "DATA_TYPE": "endpoint",
            "id": name,
            "display_name": f"SIMULATED {found.root.name}",
            "entity_type": f"{kind}_mapped_collection"
            if found.mapped or found.personal
            else f"{kind}_guest_collection",
            "high_assurance": False,
            "gcp_connected": not found.offline if found.personal else None,
        }

    def _task_list(self, query: Mapping[str, str], token: Token) -> dict[str, Any]:
        found = [task for task in self.tasks.tasks.values() if task.owner == token.identity]
        for clause in query.get("filter", "").split("/"):
            key, _, values = clause.partition(":")
            if key == "status":
                found = [task for task in found if task.status in values.split(",")]
        documents = [task.document() for task in reversed(found)]
        count = len(documents)
        return {"DATA_TYPE": "task_list", "DATA": documents, "length": count, "total": count, "offset": 0}

    def _task(self, name: str, what: str | None, query: Mapping[str, str], token: Token) -> Any:
        task = self.tasks.tasks.get(name)
        if task is None or task.owner != token.identity:
            raise Refusal(404, "TaskNotFound", f"No task '{name}'")
        match what:
            case None:
                return task.document()
            case "cancel":
                return self.tasks.cancel(task)
            case "event_list":
                limit = int(query.get("limit", 10))
                return {"DATA_TYPE": "event_list", "DATA": task.events[:limit], "total": len(task.events)}
            case "successful_transfers" if task.status in ("SUCCEEDED", "FAILED"):
                begin = int(query.get("marker", 0))
                page = task.moved[begin : begin + _PAGE]
                more = begin + _PAGE < len(task.moved)
                rows = [
                    {"DATA_TYPE": "successful_transfer", "source_path": a, "destination_path": b}
                    for a, b in page
                ]
                following = begin + _PAGE if more else None
                return {"DATA_TYPE": what, "marker": begin, "next_marker": following, "DATA": rows}
            case "skipped_errors":
                return {"DATA_TYPE": "skipped_errors", "marker": 0, "next_marker": None, "DATA": []}
        raise Refusal(400, "ClientError.BadRequest", f"{what} of a task that is {task.status}")


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hung up is nothing to print."""


class _Handler(BaseHTTPRequestHandler):
    emulator: GlobusEmulator
    protocol_version = "HTTP/1.1"
    server_version = "SIMULATED-Globus"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _serve(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            status, headers, body = (
                200,
                {},
                self.emulator.answer(self.command, self.path, dict(self.headers), raw),
            )
        except Refusal as refusal:
            status, headers, body = refusal.status, refusal.headers, refusal.body
        except ConnectionAbortedError:
            self.close_connection = True
            return
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Type": "application/json"}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815


def _main(arguments: list[str]) -> None:
    collections = {}
    for argument in arguments:
        name, _, folder = argument.partition("=")
        collections[name] = Collection(
            Path(folder.removesuffix(":mapped")), mapped=folder.endswith(":mapped")
        )
    with GlobusEmulator(collections) as emulator:
        client, secret = emulator.auth.register_service()
        lines = [f"{name}={value}" for name, value in emulator.environment.items()]
        sys.stdout.write("\n".join([*lines, f"client_id={client}", f"secret={secret}", ""]))
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    _main(sys.argv[1:])
