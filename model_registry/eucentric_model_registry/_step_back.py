"""Going back at the edges alone, for the night in which the release has to wait."""

from __future__ import annotations

from eucentric_core import EucentricError, Settings

from ._errors import RegistryUnavailableError
from ._site_edges import EdgeAddress, calling, edges_of

__all__ = ["step_back_at_edges"]

_EDGE_TIMEOUT_S = 60.0
_MAX_REASON = 500
_WHEN_BACK = (
    "look whether the edges serve well; when MLflow answers again, repeat the command, so that other and "
    "restored edges take the older version, too."
)


def step_back_at_edges(settings: Settings, reason: str, cause: EucentricError) -> EucentricError:
    """Have every edge of the site go back one step, since the release that says so has to wait.

    An edge keeps the version before on its disk, and takes the present release no second time.

    Args:
        settings: of the hub.
        reason: why; it stays in the edges' logs.
        cause: why nothing was released; nothing was moved.

    Returns:
        The error to raise: of the kind of the cause, with what was done and what is left to do.
    """
    said = "; ".join(_stepped_back(settings, address, reason) for address in edges_of(settings))
    next_step = _WHEN_BACK if isinstance(cause, RegistryUnavailableError) else cause.next_step
    error = type(cause)(
        cause.what, safe=f"{said}. The catalogue and the signed release are as before.", next_step=next_step
    )
    error.details = cause.details
    return error


def _stepped_back(settings: Settings, address: EdgeAddress, reason: str) -> str:
    try:
        with calling(settings, address, timeout_s=_EDGE_TIMEOUT_S) as edge:
            done = edge.call("rollback", {"reason": reason[:_MAX_REASON]})
    except EucentricError as error:
        return f"the edge at {address} did not go back ({error.what.rstrip('.')})"
    return f"the edge at {address} went back from v{done['previous_version']} and serves v{done['version']}"
