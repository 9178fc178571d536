"""From a request to its answer: the one object that Pyro knows."""

from __future__ import annotations

import json
import logging
from typing import Any

import Pyro5.api
from pydantic import ValidationError

from .._errors import CommandRefusedError, EucentricError, RemoteError
from .._units import explain_problem
from ._protocols import Methods
from ._pyro import encode

__all__ = ["Dispatcher"]

_log = logging.getLogger(__name__)


@Pyro5.api.expose
class Dispatcher:
    """Not part of the interface (Pyro does not expose private names)."""

    def call(self, method: Any, payload: Any) -> dict[str, Any]:
        """Answer a request: `{"ok": text}` or `{"error": report}`; with `over` if it was the last."""
        desk = Pyro5.api.current_context.client.desk
        try:
            return {"ok": _answer(desk.methods(), method, payload)}
        except EucentricError as error:
            report = error.report().model_dump_json()
            return {"error": report} if desk.open else {"error": report, "over": True}
        except Exception:  # noqa: BLE001  (logged and answered)
            # The outermost frame of a remote call: anything unforeseen must reach the log here and
            # the caller as a typed error, without exposing the server's internals.
            _log.exception("method %s failed", method)
            unforeseen = RemoteError(
                f"{method} failed in an unforeseen way.",
                safe="unknown; read the state before the next command.",
                next_step="see this service's log.",
            )
            return {"error": unforeseen.report().model_dump_json()}


def _answer(methods: Methods, method: Any, payload: Any) -> str:
    if not isinstance(method, str) or method not in methods:
        raise CommandRefusedError(
            f"This service has no method {str(method)[:100]!r}.",
            safe="nothing was changed.",
            next_step=f"use one of {', '.join(sorted(methods))}.",
        )
    try:
        request = json.loads(payload) if isinstance(payload, str) else None
    except (ValueError, RecursionError):
        request = None
    if not isinstance(request, dict):
        raise CommandRefusedError(
            f"The request {method} is no JSON object.",
            safe="nothing was changed.",
            next_step="check that both sides run compatible versions.",
        )
    try:
        return encode(f"The answer to {method}", methods[method](request))
    except ValidationError as error:
        problems = "; ".join(explain_problem(problem) for problem in error.errors()[:3])
        raise CommandRefusedError(
            f"{method}: {problems}.", safe="nothing was changed.", next_step="correct the request."
        ) from error
