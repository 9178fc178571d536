"""How long the champion has been one."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from eucentric_core import FrozenModel

from .._circumstances import Circumstances
from .._wording import duration

__all__ = ["ChampionCondition"]


class ChampionCondition(FrozenModel):
    """The model has a champion that was promoted at least `min_age_s` ago.

    A champion that was promoted before this hub kept books counts as old enough.
    """

    kind: Literal["champion"] = "champion"
    min_age_s: Annotated[float, Field(gt=0, le=365 * 86_400)]

    def unmet(self, policy: str, model: str, circumstances: Circumstances) -> str | None:
        """See `Condition`."""
        champion = circumstances.champions.get(model)
        if champion is None:
            return None
        age_s = (circumstances.now - champion.promoted_utc).total_seconds()
        if age_s >= self.min_age_s:
            return None
        return f"champion v{champion.version} is {age_s:.0f} s old, not {duration(self.min_age_s)}"

    def phrase(self, model: str) -> str:
        """See `Condition`."""
        return f"the champion of {model} is at least {duration(self.min_age_s)} old"
