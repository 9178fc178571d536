"""What was measured of a model on held-out data, whatever kind of model it is."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import Field, StringConstraints

from eucentric_core import FrozenModel, Identifier

__all__ = ["Figure", "FigureName", "Figures"]

FigureName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._ +()-]{0,119}$")]
"""For example `f1`, `class_f1.dopant`, `position_rmse_m`, `latency_p99_ms`, `energy_rmse_ev`."""


class Figure(FrozenModel):
    """One measured number.

    Attributes:
        value: None where it could not be measured, for example a position error without detections.
        unit: `m`, `ms`, `eV`…; empty for shares and counts.
        support: how many examples it rests on, where that is counted.
    """

    value: float | None
    unit: Annotated[str, Field(max_length=16)] = ""
    support: Annotated[int, Field(ge=0)] | None = None

    @property
    def said(self) -> str:
        """The number as people read it."""
        return "unknown" if self.value is None else readable(self.value, self.unit)


class Figures(FrozenModel):
    """All numbers of one model: `holdouts[name of a set][name of a figure]`.

    Sets that every recipe knows: `start` (the conditions the model was first made for), `recent` (frames of
    now). Others by convention: `target` (latency on the machine that will serve), `golden` (differences on
    golden chips), `unfamiliar` (frames the model must say are none of its own). A recipe may add any.
    """

    holdouts: dict[Identifier, dict[FigureName, Figure]]

    def get(self, holdout: str, metric: str) -> Figure | None:
        """One figure, None if it was not measured."""
        return self.holdouts.get(holdout, {}).get(metric)

    def matching(self, holdout: str, pattern: str) -> dict[str, Figure]:
        """The figures of a set whose name matches a pattern such as `class_f1.*`, sorted by name."""
        found = self.holdouts.get(holdout, {})
        return {name: found[name] for name in sorted(found) if fnmatchcase(name, pattern)}

    def flat(self) -> dict[str, float]:
        """The measured ones as `set.figure`, for a manifest's metrics and for MLflow."""
        return {
            f"{holdout}.{name}": figure.value
            for holdout, figures in self.holdouts.items()
            for name, figure in figures.items()
            if figure.value is not None
        }


def readable(value: float, unit: str) -> str:
    """A number with its unit as people read it; metres of a lattice are picometres."""
    if unit == "m":
        return f"{value * 1e12:.1f} pm"
    if value and not 1e-3 <= abs(value) < 1e4:
        return f"{value:.3g} {unit}".rstrip()
    return f"{value:.3f} {unit}".rstrip()
