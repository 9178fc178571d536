"""Whether the place that shards are sent to takes them."""

from __future__ import annotations

import hashlib
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


def check_destination(settings: Settings) -> Finding:
    """Write, hash and remove a small file where shards go. A Globus task would take too long for it."""
    where = settings.agent.ship_to
    if where is None:
        return Finding(name=_NAME, status="absent", detail="agent.ship_to is not set: recordings stay here")
    if where.startswith("globus:"):
        return Finding(name=_NAME, status="ok", detail=f"{where}: not asked; see `eucentric globus check`")
    from eucentric_transfer import MoverOptions, open_mover

    patience = {"attempts": 1, "connect_timeout_s": _TIMEOUT_S, "read_timeout_s": _TIMEOUT_S}
    options = MoverOptions(s3=settings.s3.model_copy(update=patience))
    # One name for each agent: where removing is not allowed, one small file stays, not one for every look.
    name, content = f"probe/{settings.agent.name}.bin", secrets.token_bytes(_PROBE_BYTES)
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
