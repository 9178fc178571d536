"""Everything the page knows of one model, and how it reads in a table. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from eucentric_model_registry import (
    Deployment,
    Promotion,
    RegisteredVersion,
    Seen,
    deployment_sentences,
)

__all__ = ["ModelFacts", "Move", "VersionRow", "move_to", "version_rows"]

_HEADLINES = 4

Move = Literal["promote", "roll back"]


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What the registry says of one model.

    Attributes:
        name: of the model.
        versions: newest first.
        promotions: oldest first.
        deployments: oldest first.
        names: of all models there are.
    """

    name: str
    versions: tuple[RegisteredVersion, ...] = ()
    promotions: tuple[Promotion, ...] = ()
    deployments: tuple[Deployment, ...] = ()
    names: tuple[str, ...] = field(default=())

    @property
    def champion(self) -> int | None:
        """The version that edges should serve."""
        return next((one.version for one in self.versions if "champion" in one.aliases), None)

    @property
    def seen(self) -> Seen:
        """What a person decides on who looks at this."""
        return Seen(self.champion, len(self.promotions))

    def version(self, number: int) -> RegisteredVersion | None:
        """One version."""
        return next((one for one in self.versions if one.version == number), None)


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A version as a line of the table."""

    version: int
    aliases: tuple[str, ...]
    edges: tuple[str, ...]
    figures: tuple[tuple[str, str], ...]
    registered: RegisteredVersion
    came_by: str
    move: Move | None


def move_to(version: int, champion: int | None) -> Move | None:
    """What it is called to make a version champion; None where it is champion already."""
    if version == champion:
        return None
    return "roll back" if champion is not None and version < champion else "promote"


def version_rows(facts: ModelFacts) -> tuple[VersionRow, ...]:
    """All versions, newest first, with the same few figures each."""
    headlines = _headlines(facts)
    return tuple(
        VersionRow(
            version=one.version,
            aliases=one.aliases,
            edges=deployment_sentences(one.version, facts.deployments),
            figures=tuple((name, _said(one.metrics, name)) for name in headlines),
            registered=one,
            came_by=f"policy {one.lineage.policy}" if one.lineage.policy else "a person",
            move=move_to(one.version, facts.champion),
        )
        for one in facts.versions
    )


def _headlines(facts: ModelFacts) -> tuple[str, ...]:
    # Figures of the newest version that most others have as well, so that a column can be read down.
    counted: dict[str, int] = {}
    for one in facts.versions:
        for name in one.metrics:
            counted[name] = counted.get(name, 0) + 1
    newest = facts.versions[0].metrics if facts.versions else {}
    ranked = sorted(newest, key=lambda name: (-counted[name], "f1" not in name, len(name), name))
    return tuple(ranked[:_HEADLINES])


def _said(metrics: Mapping[str, float], name: str) -> str:
    value = metrics.get(name)
    return "" if value is None else f"{value:.4g}"
