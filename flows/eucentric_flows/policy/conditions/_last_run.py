"""How the policy's last run ended."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from eucentric_core import FrozenModel

from ..._outcome import Outcome
from .._circumstances import Circumstances
from .._wording import listed

__all__ = ["LastRunCondition"]


class LastRunCondition(FrozenModel):
    """The last run of this policy did not end with one of these outcomes; without a run it holds."""

    kind: Literal["last_run"] = "last_run"
    not_ended_as: Annotated[tuple[Outcome, ...], Field(min_length=1, max_length=6)]

    def unmet(self, policy: str, model: str, circumstances: Circumstances) -> str | None:
        """See `Condition`."""
        last = max(circumstances.runs_of(policy), key=lambda run: run.started_utc, default=None)
        if last is None or last.outcome not in self.not_ended_as:
            return None
        return f"the last run, {last.trigger_id}, ended as {last.outcome}"

    def phrase(self, model: str) -> str:
        """See `Condition`."""
        return f"the policy's last run was not {listed(self.not_ended_as, 'or')}"
