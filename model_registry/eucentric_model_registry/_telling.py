"""What is told of versions: how two compare, what happened, and what each edge made of them."""

from __future__ import annotations

from collections.abc import Sequence

from eucentric_core import FrozenModel, UtcDatetime

from ._deployments import Deployment
from ._registered import Promotion, RegisteredVersion

__all__ = [
    "FigurePair",
    "HistoryLine",
    "ServicePeriod",
    "compare_figures",
    "deployment_sentences",
    "service_periods",
    "tell_history",
]


class FigurePair(FrozenModel):
    """One figure of two versions; None where it was not measured."""

    name: str
    first: float | None
    second: float | None

    @property
    def difference(self) -> float | None:
        """Second less first; None unless both were measured."""
        return None if self.first is None or self.second is None else self.second - self.first


class HistoryLine(FrozenModel):
    """Something that happened to a model: somebody moved the champion, or an edge said what it made of it.

    Attributes:
        at_utc: when.
        what: for example `promoted`, `rolled back`, `serving`, `refused`.
        version: which.
        before: the champion before, where somebody moved it.
        who: a person, a run, or `edge NAME`.
        reason: why; empty where an edge just serves.
    """

    at_utc: UtcDatetime
    what: str
    version: int
    before: int | None
    who: str
    reason: str


class ServicePeriod(FrozenModel):
    """For how long an edge served a version; `until_utc` is None while it does."""

    edge: str
    version: int
    since_utc: UtcDatetime
    until_utc: UtcDatetime | None


def compare_figures(first: RegisteredVersion, second: RegisteredVersion) -> tuple[FigurePair, ...]:
    """Every figure that either version has, by name."""
    return tuple(
        FigurePair(name=name, first=first.metrics.get(name), second=second.metrics.get(name))
        for name in sorted({*first.metrics, *second.metrics})
    )


def deployment_sentences(version: int, deployments: Sequence[Deployment]) -> tuple[str, ...]:
    """What each edge said last of a version; where it serves another one meanwhile, that counts.

    Args:
        version: which.
        deployments: of its model, oldest first.
    """
    last: dict[str, Deployment] = {}
    now: dict[str, Deployment] = {}
    for deployment in deployments:
        now[deployment.edge] = deployment
        if deployment.version == version:
            last[deployment.edge] = deployment
    said = []
    for edge, deployment in last.items():
        elsewhere = now[edge].version != version and deployment.state != "refused"
        said.append(f"served at {edge}" if elsewhere else deployment.sentence)
    return tuple(said)


def tell_history(
    promotions: Sequence[Promotion], deployments: Sequence[Deployment]
) -> tuple[HistoryLine, ...]:
    """Both records of a model as one, oldest first."""
    moved = [
        HistoryLine(
            at_utc=promotion.promoted_utc,
            what=promotion.kind.replace("_", " "),
            version=promotion.version,
            before=promotion.previous_version,
            who=promotion.who,
            reason=promotion.reason,
        )
        for promotion in promotions
    ]
    said = [
        HistoryLine(
            at_utc=deployment.since_utc,
            what=deployment.state,
            version=deployment.version,
            before=None,
            who=f"edge {deployment.edge}",
            reason=deployment.reason if deployment.state == "refused" else "",
        )
        for deployment in deployments
    ]
    return tuple(sorted(moved + said, key=lambda line: line.at_utc))


def service_periods(deployments: Sequence[Deployment]) -> tuple[ServicePeriod, ...]:
    """What was in production where and when, by edge, oldest first.

    An edge serves a version from when it said so until it says that it serves another one. What waits, and
    what was refused, was never in production.

    Args:
        deployments: of one model, oldest first.
    """
    serving: dict[str, list[Deployment]] = {}
    for deployment in deployments:
        if deployment.state != "serving":
            continue
        of_edge = serving.setdefault(deployment.edge, [])
        if not of_edge or of_edge[-1].version != deployment.version:
            of_edge.append(deployment)
    return tuple(
        ServicePeriod(
            edge=edge,
            version=deployment.version,
            since_utc=deployment.since_utc,
            until_utc=following.since_utc if following is not None else None,
        )
        for edge in sorted(serving)
        for deployment, following in zip(serving[edge], [*serving[edge][1:], None], strict=True)
    )
