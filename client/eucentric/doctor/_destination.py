"""Whether the place that shards are sent to takes them."""

from __future__ import annotations

import hashlib
import logging
import secrets
import time
from contextlib import closing
from typing import TYPE_CHECKING

from eucentric_core import EucentricError, Settings

from ._finding import Finding

if TYPE_CHECKING:
    from eucentric_transfer import Mover

__all__ = ["check_destination"]

_NAME = "destination"
_TIMEOUT_S = 5.0
_PROBE_BYTES = 1024

_log = logging.getLogger(__name__)


def check_destination(settings: Settings) -> Finding:
    """Write, hash and remove a small file where shards go, and count those that do not get through.

    A Globus task would take too long for the file.
    """
    where = settings.agent.ship_to
    if where is None:
        return Finding(name=_NAME, status="absent", detail="agent.ship_to is not set: recordings stay here")
    found, waiting = _try_out(settings, where), _waiting(settings)
    if waiting is None:
        return found
    held_up = found.status == "ok" and "stuck" in waiting
    return Finding(
        name=_NAME,
        status="warn" if held_up else found.status,
        detail=f"{found.detail}; {waiting}",
        fix="`eucentric agent shipping` says why, and what to do" if held_up else found.fix,
    )


def _waiting(settings: Settings) -> str | None:
    """How many shards are stuck or wait for a receipt, None if none does."""
    from eucentric_agents import read_shipping

    if not settings.home.exists():
        return None
    try:
        status = read_shipping(settings).shipper
    except EucentricError as error:
        # Nothing was recorded, or not by this user: the way there is as good or bad as it is.
        _log.debug("the outbox cannot be read: %s", error)
        return None
    counts = {"are stuck": status.stuck, "wait for a receipt": status.awaiting_receipt} if status else {}
    return ", ".join(f"{count} shards {words}" for words, count in counts.items() if count) or None


def _try_out(settings: Settings, where: str) -> Finding:
    if where.startswith("globus:"):
        return Finding(name=_NAME, status="ok", detail=f"{where}: not asked; see `eucentric globus check`")
    from eucentric_transfer import MoverOptions, open_mover

    patience = {"attempts": 1, "connect_timeout_s": _TIMEOUT_S, "read_timeout_s": _TIMEOUT_S}
    options = MoverOptions(s3=settings.s3.model_copy(update=patience))
    # One name for each agent: where removing is not allowed, one small file stays, not one for every look.
    # In the folder of shards: another may be writable while that one is not. Only documents are taken in.
    name, content = f"incoming/probe-{settings.agent.name}.bin", secrets.token_bytes(_PROBE_BYTES)
    began_s = time.monotonic()
    try:
        with closing(open_mover(where, options=options)) as mover:
            mover.put_bytes(content, name)
            took_s = time.monotonic() - began_s
            left = _removed(mover, name, content)
    except EucentricError as error:
        return Finding(name=_NAME, status="fail", detail=f"{where}: {error.what}", fix=error.next_step)
    if left is not None:
        detail = f"{where} took a file, and {name} cannot be removed again: {left.what}"
        return Finding(name=_NAME, status="warn", detail=detail, fix="an agent need not remove: leave it.")
    return Finding(name=_NAME, status="ok", detail=f"{where} took a file and its hash in {took_s:.2f} s")


def _removed(mover: Mover, name: str, content: bytes) -> EucentricError | None:
    """Remove the file; why it cannot be, if so."""
    try:
        mover.remove(name, sha256=hashlib.sha256(content).hexdigest())
    except EucentricError as error:
        return error
    return None
