"""From a promoted version to a signed release that edges take, and back if an edge refuses it."""

from __future__ import annotations

from collections.abc import Callable

from eucentric_core import BundleError, verify_bundle
from eucentric_core.releases import Release
from eucentric_model_registry import DeploymentState, RegisteredVersion, ReleaseBook, take_back

from ._install import install
from ._publish import Publication

__all__ = ["deliver", "release"]


def release(
    publication: Publication, version: RegisteredVersion, reason: str, *, waiting: bool
) -> Release | None:
    """Sign the release of a promoted version; edges that look for themselves take it from now on.

    Args:
        publication: whose.
        version: that was promoted.
        reason: why, for people.
        waiting: note in the catalogue that this site's edge is to serve it.

    Returns:
        The release; None where a site has no root metadata and edges go by keys alone.

    Raises:
        ConfigurationError: a key cannot be used.
        RegistryError: too few keys are at hand.
    """
    book, released = ReleaseBook.of(publication.settings), None
    if book is not None:
        folder = publication.workspace.bundle
        manifest = verify_bundle(
            folder, publication.trusted, expected_name=publication.model, newer_than=None
        )
        released = book.publish(folder, manifest, reason=reason, who=publication.who)
    if waiting:
        _record(publication, version.version, "waiting", reason, released)
    return released


def deliver(
    publication: Publication, version: RegisteredVersion, released: Release | None, say: Callable[[str], None]
) -> None:
    """Hand a version to this site's edge, and note what became of it.

    If the edge refuses it, the catalogue says so, the champion before it is champion again, and a new
    release names that one, so that no other edge takes what was refused.

    Raises:
        BundleError: the edge refused it.
        EucentricError: the edge did not answer, or serves something else; the version waits.
    """
    edge = publication.settings.edge.name
    try:
        install(publication.settings, publication.workspace.bundle, version.version, say)
    except BundleError as error:
        _record(publication, version.version, "refused", error.what, released)
        take_back(
            publication.settings,
            publication.registry,
            publication.model,
            version.version,
            reason=f"refused by {edge}: {error.what}",
            who=f"edge {edge}",
        )
        raise
    _record(publication, version.version, "serving", "", released)


def _record(
    publication: Publication, version: int, state: DeploymentState, reason: str, released: Release | None
) -> None:
    publication.registry.deployments.record(
        publication.model,
        version,
        edge=publication.settings.edge.name,
        state=state,
        reason=reason,
        release=None if released is None else released.number,
    )
