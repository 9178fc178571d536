"""What was in production where: which edge was given which version, and what became of it."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Literal
from uuid import uuid4

from pydantic import Field

from eucentric_core import FrozenModel, Identifier, UtcDatetime, utc_now

from ._errors import UnknownVersionError
from ._mlflow_session import MlflowSession
from ._version_tags import checked_name

__all__ = ["Deployment", "DeploymentState", "Deployments"]

DeploymentState = Literal["waiting", "serving", "refused"]

_TAG = "deployment."
_MAX_REASON = 2000


class Deployment(FrozenModel):
    """One edge and one version.

    Attributes:
        name: the model.
        version: of the model.
        release: number of the signed release that names it; None where edges go by keys alone.
        edge: the edge's name.
        state: `waiting` since it was promoted, `serving` since the edge said so, or `refused` by the edge.
        reason: why it was promoted, or why it was refused.
        since_utc: since when.
    """

    name: Identifier
    version: Annotated[int, Field(ge=1)]
    release: Annotated[int, Field(ge=1)] | None = None
    edge: Identifier
    state: DeploymentState
    reason: str = ""
    since_utc: UtcDatetime

    @property
    def sentence(self) -> str:
        """For people: `promoted, waiting for edge-1`, `serving at edge-1`, `refused by edge-1: …`."""
        if self.state == "waiting":
            return f"promoted, waiting for {self.edge}"
        if self.state == "serving":
            return f"serving at {self.edge}"
        return f"refused by {self.edge}: {self.reason}"


class Deployments:
    """The record of deployments, as tags of the registered model in MLflow. Lines are only ever added.

    Args:
        session: of the MLflow server.
    """

    def __init__(self, session: MlflowSession) -> None:
        self._session = session

    def record(
        self,
        name: str,
        version: int,
        *,
        edge: str,
        state: DeploymentState,
        reason: str = "",
        release: int | None = None,
    ) -> Deployment:
        """Add a line, unless the last one of this edge says the same already, or what it was waiting for.

        Raises:
            RegistryUnavailableError: MLflow does not answer.
            UnknownVersionError: there is no such model.
        """
        last = self.latest(name).get(edge)
        if last is not None and last.version == version:
            arrived = state == "waiting" and last.state == "serving" and last.release == release
            if last.state == state or arrived:
                return last
        deployment = Deployment(
            name=name,
            version=version,
            release=release,
            edge=edge,
            state=state,
            reason=reason[:_MAX_REASON],
            since_utc=utc_now(),
        )
        key = f"{_TAG}{deployment.since_utc:%Y%m%dT%H%M%S.%f}.{uuid4().hex[:8]}"
        with self._session.asking(f"note that {name} v{version} is {state} at {edge}") as client:
            client.set_registered_model_tag(name, key, deployment.model_dump_json())
        return deployment

    def observe(self, name: str, version: int, *, edge: str, release: int | None = None) -> Deployment | None:
        """Note what an edge was found to serve, unless that is known.

        Returns:
            The new line; None if nothing is new.

        Raises:
            RegistryUnavailableError: MLflow does not answer.
            UnknownVersionError: there is no such model.
        """
        lines = [line for line in self.history(name) if line.edge == edge]
        served = next((line.version for line in reversed(lines) if line.state == "serving"), None)
        awaited = bool(lines) and lines[-1].state == "waiting" and lines[-1].version == version
        if served == version and not awaited:
            # It still serves what it served while something newer waits for it.
            return None
        return self.record(name, version, edge=edge, state="serving", release=release)

    def history(self, name: str) -> tuple[Deployment, ...]:
        """All lines, oldest first; empty if the model is unknown.

        Raises:
            RegistryUnavailableError: MLflow does not answer.
        """
        checked_name(name)
        with suppress(UnknownVersionError), self._session.asking(f"read where {name} was served") as client:
            tags = client.get_registered_model(name).tags
            return tuple(
                Deployment.model_validate_json(tags[key]) for key in sorted(tags) if key.startswith(_TAG)
            )
        return ()

    def latest(self, name: str) -> dict[str, Deployment]:
        """The last line of each edge.

        Raises:
            RegistryUnavailableError: MLflow does not answer.
        """
        return {deployment.edge: deployment for deployment in self.history(name)}
