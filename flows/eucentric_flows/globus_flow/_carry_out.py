"""The one function that Globus Flows calls at the hub's Compute endpoint: order a flow, and wait for it.

It is the only one that the endpoint has to allow. It takes the name of a flow that steers no instrument, and
its parameters, which are checked: no code, and no path but the folder of its own run.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from eucentric_core import ConfigurationError, EucentricError, Settings, load_settings

from ._definition import REMOTE_FLOWS

__all__ = ["CONFIG_VARIABLE", "RemoteRunFailedError", "carry_out", "take_in_staged"]

CONFIG_VARIABLE = "EUCENTRIC_CONFIG"
"""Environment variable of the endpoint that names the hub's settings file."""

_POLL_S = 0.5
_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,99}")


class RemoteRunFailedError(EucentricError):
    """A run that Globus Flows asked for did not end well."""

    code = "globus.run_failed"


def carry_out(
    flow: str,
    trigger_id: str,
    parameters: dict[str, Any],
    staged: bool = False,
    timeout_s: float = 6 * 86_400.0,
) -> dict[str, Any]:
    """Order a run and wait for its end; the same trigger id is carried out once, however often it is called.

    Args:
        flow: as `eucentric flows ls` lists it.
        trigger_id: of the run; Globus Flows gives the id of its own.
        parameters: of the flow.
        staged: shards lie in `staged/<trigger id>` of the repository's root and are to be taken in first.
        timeout_s: longest wait; the run goes on, and another call waits on.

    Returns:
        `run`, `outcome`, `reason`, `version`, and whether a model was `released`.

    Raises:
        ConfigurationError: there is no such flow, or its parameters are no good.
        RemoteRunFailedError: the run failed, was cancelled, or did not end in time.
        ServiceUnavailableError: the hub's services do not answer.
    """
    from ..desk import flow_named, order_flow, refused_request
    from ..runs import RunRecord, runs_path

    settings = load_settings(Path(os.environ[CONFIG_VARIABLE]) if CONFIG_VARIABLE in os.environ else None)
    if flow not in REMOTE_FLOWS or _RUN.fullmatch(trigger_id) is None:
        raise ConfigurationError(
            f"{flow!r} is no flow that may be asked for from elsewhere, or {trigger_id!r} names no run.",
            safe="nothing was started.",
            next_step=f"use one of {', '.join(REMOTE_FLOWS)}.",
        )
    spec = flow_named(flow)
    try:
        request = spec.parse({**parameters, "trigger_id": trigger_id, "requested_by": "Globus Flows"})
    except ValidationError as error:
        raise refused_request(
            spec, error, next_step="export the flow again: its parameters have changed."
        ) from error
    if staged:
        take_in_staged(settings, trigger_id)
    order_flow(settings, spec, request)
    deadline = time.monotonic() + timeout_s
    with RunRecord(runs_path(settings)) as record:
        while (view := record.known(trigger_id)) is None or not view.over:
            if time.monotonic() > deadline:
                raise _failed(trigger_id, f"has not ended within {timeout_s:g} s", "it goes on at the hub.")
            time.sleep(_POLL_S)
    if view.state in ("failed", "cancelled"):
        raise _failed(trigger_id, f"ended as {view.state}: {view.reason}", "the model in service serves on.")
    return {
        "run": trigger_id,
        "outcome": view.state,
        "reason": view.reason,
        "version": view.version,
        "released": view.state == "promoted" or flow in ("publish", "rollback"),
    }


def take_in_staged(settings: Settings, run: str) -> int:
    """Rename what was moved for a run into the repository's incoming folder; returns how many files.

    A shard before the document that announces it: Globus writes in place, and the repository must not see
    half a file. Repeating it is no error.
    """
    root = settings.repository_path
    folder, incoming = root / "staged" / run, root / "incoming"
    files = sorted(
        (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()),
        key=lambda path: (path.suffix == ".json", path.name),
    )
    incoming.mkdir(parents=True, exist_ok=True)
    for path in files:
        path.rename(incoming / path.name)
    return len(files)


def _failed(run: str, what: str, safe: str) -> RemoteRunFailedError:
    return RemoteRunFailedError(
        f"Run {run} {what}.", safe=safe, next_step=f"see `eucentric run show {run}` at the hub.", run=run
    )
