"""What was decided about a challenger, and on what grounds."""

from __future__ import annotations

from collections.abc import Callable

from eucentric_core import FrozenModel, write_atomic
from eucentric_model_registry import Evidence, Figures, Verdict

from ._workspace import Workspace

__all__ = ["Judgement", "judged_once"]


class Judgement(FrozenModel):
    """Verdict and evidence; without labelled hold-out frames there is no evidence, and nobody is promoted.

    Attributes:
        verdict: the decision.
        evidence: of a model that finds atoms.
        challenger: figures of a model of any other engine.
        champion: the same of the model in service, if there is one.
    """

    verdict: Verdict
    evidence: Evidence | None = None
    challenger: Figures | None = None
    champion: Figures | None = None

    @property
    def metrics(self) -> dict[str, float]:
        """The figures that go into the bundle, by name."""
        figures: dict[str, float] = {}
        if self.evidence is not None:
            for where, comparison in (("start", self.evidence.start), ("recent", self.evidence.recent)):
                figures[f"{where}_f1"] = comparison.challenger.f1
                if comparison.champion is not None:
                    figures[f"{where}_f1_of_champion"] = comparison.champion.f1
        if self.challenger is not None:
            figures |= _named(self.challenger, "")
        if self.champion is not None:
            figures |= _named(self.champion, "_of_champion")
        return figures


def judged_once(workspace: Workspace, judge: Callable[[], Judgement]) -> Judgement:
    """The judgement of a run: the one that was made, or else the one that is made now, and kept."""
    if workspace.judgement.exists():
        return Judgement.model_validate_json(workspace.judgement.read_bytes())
    judgement = judge()
    write_atomic(workspace.judgement, judgement.model_dump_json().encode())
    return judgement


def _named(figures: Figures, suffix: str) -> dict[str, float]:
    return {f"{name.replace('.', '_', 1)}{suffix}": value for name, value in figures.flat().items()}
