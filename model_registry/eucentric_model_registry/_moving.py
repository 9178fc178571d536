"""Making another version the champion: catalogue, signed release and edge together, or back where it was."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import JsonValue

from eucentric_core import (
    BundleError,
    EucentricError,
    Settings,
    TransportError,
)
from eucentric_core.releases import Release

from ._deployments import Deployment, DeploymentState
from ._one_move import Seen, one_move_at_a_time, require_unchanged
from ._registered import Promotion
from ._registry import Registry
from ._release_book import ReleaseBook
from ._site_edges import EdgeAddress, calling, edges_of, goes_by_releases

__all__ = ["Moved", "move_champion", "take_back"]

_EDGE_TIMEOUT_S = 60.0
_MAX_REASON = 500

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of a promotion or a rollback.

    Attributes:
        promotion: the line in the history.
        release: the signed release; None where a site's edges go by keys alone.
        deployment: what this site's edge makes of it.
    """

    promotion: Promotion
    release: Release | None
    deployment: Deployment


def move_champion(
    settings: Settings,
    registry: Registry,
    name: str,
    version: int,
    *,
    reason: str,
    who: str,
    seen: Seen | None = None,
    again: bool = False,
) -> Moved:
    """Make a version champion, forward or back, release it, and tell this site's edge.

    An edge that does not answer takes the release when it looks next; the catalogue says that it waits.

    Args:
        settings: of the hub.
        registry: its catalogue.
        name: of the model.
        version: which is to be champion.
        reason: why; it stays in the history.
        who: whose decision it is.
        seen: what they looked at when they decided; None if it holds whatever others did meanwhile.
        again: have an edge take it also if it was released already and the edge went back from it.

    Raises:
        ChampionMovedError: somebody else was faster; nothing was changed.
        UnknownVersionError: there is no such version.
        BundleError: it does not verify any more, or the edge refused it: then everything is as before.
        SignaturesMissingError: other people have to sign first; nothing was changed.
        RegistryError: it could not be released; nothing was changed.
        RegistryUnavailableError: MLflow does not answer; repeat the command.
    """
    with TemporaryDirectory(prefix="eucentric-move-") as folder:
        bundle = Path(folder) / "bundle"
        manifest = registry.download(name, version, bundle)
        book, release = ReleaseBook.of(settings), None
        with one_move_at_a_time(settings):
            if seen is not None:
                require_unchanged(registry, name, seen)
            if book is not None:
                # First what counts, then what is told: an alias alone would have edges look for nothing.
                release = book.publish(bundle, manifest, reason=reason, who=who)
            promotion = registry.promote(name, version, reason=reason, who=who)
        number = None if release is None else release.number
        edge = settings.edge.name

        def record(state: DeploymentState, why: str) -> Deployment:
            return registry.deployments.record(
                name, version, edge=edge, state=state, reason=why, release=number
            )

        deployment = record("waiting", reason)
        try:
            serving = _tell_edge(settings, bundle, version, reason, released=release is not None, again=again)
        except BundleError as error:
            record("refused", error.what)
            take_back(
                settings,
                registry,
                name,
                version,
                reason=f"refused by {edge}: {error.what}",
                who=f"edge {edge}",
            )
            raise
        except TransportError as error:
            _log.warning("edge %s does not answer: %s", edge, error.what)
            return Moved(promotion, release, deployment)
        if serving == version:
            deployment = record("serving", "")
        return Moved(promotion, release, deployment)


def take_back(
    settings: Settings, registry: Registry, name: str, version: int, *, reason: str, who: str
) -> Promotion | None:
    """Undo a promotion that an edge refused: alias and, with a new signed release, every other edge.

    Returns:
        The line in the history; None if the version was not champion any more.

    Raises:
        RegistryUnavailableError: MLflow does not answer.
    """
    withdrawn = registry.withdraw(name, version, reason=reason, who=who)
    book = ReleaseBook.of(settings)
    if withdrawn is None or withdrawn.version == version or book is None:
        return withdrawn
    try:
        with TemporaryDirectory(prefix="eucentric-withdrawn-") as folder:
            bundle = Path(folder) / "bundle"
            manifest = registry.download(name, withdrawn.version, bundle)
            book.publish(bundle, manifest, reason=reason, who=who)
    except EucentricError as error:
        # The refusal is what the caller reports; that other edges still see what was refused is said here.
        _log.error("version %d could not be released again: %s", withdrawn.version, error)
    return withdrawn


def _tell_edge(
    settings: Settings, bundle: Path, version: int, reason: str, *, released: bool, again: bool
) -> int | None:
    own, *others = edges_of(settings)
    asked: dict[str, JsonValue] = {"again": True} if again else {}
    with calling(settings, own, timeout_s=_EDGE_TIMEOUT_S) as edge:
        before = edge.call("status", {})
        if released and goes_by_releases(before):
            # It fetches the files itself, from wherever it reads releases.
            edge.call("look", asked)
        elif before.get("previous_version") == version:
            # By keys alone versions only rise; the one before lies on the edge's disk.
            edge.call("rollback", {"reason": reason[:_MAX_REASON]})
        else:
            edge.call("install", {"folder": str(bundle)})
        serving = edge.call("status", {})["model_version"]
    if released:
        for other in others:
            _have_look(settings, other, asked)
    return serving if isinstance(serving, int) else None


def _have_look(settings: Settings, address: EdgeAddress, asked: dict[str, JsonValue]) -> None:
    try:
        with calling(settings, address, timeout_s=_EDGE_TIMEOUT_S) as edge:
            edge.call("look", asked)
    except EucentricError as error:
        _log.warning("edge %s: %s", address, error)
