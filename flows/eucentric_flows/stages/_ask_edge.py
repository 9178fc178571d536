"""Asking the edge how fast a challenger is on the machine that would serve it."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import JsonValue, ValidationError

from eucentric_core import (
    BUNDLE_ENVELOPE,
    LatencyMeasurement,
    sha256_file,
    verify_bundle,
)
from eucentric_core.transport import PyroControlClient
from eucentric_model_registry import ReleaseBook, goes_by_releases

from .._errors import InstallationError
from ._edge_call import asking_edge
from ._publish import Publication

__all__ = ["measured_at_edge", "measured_in_service"]

_CALL_TIMEOUT_S = 150.0


def measured_at_edge(publication: Publication, say: Callable[[str], None]) -> LatencyMeasurement:
    """Have this site's edge time the signed challenger on its own machine; it answers no frame.

    An edge that goes by releases fetches it itself: the challenger is released to be tried, which is signed
    like any other release. Where several people sign, they sign this one, too.

    Args:
        publication: whose; the bundle lies in its workspace.
        say: notes what is being done.

    Raises:
        BundleError: the edge refused the challenger.
        SignaturesMissingError: other people have to sign first.
        ServiceUnavailableError: the edge did not answer for a minute.
        InstallationError: it measured something else.
    """
    folder = publication.workspace.bundle
    manifest = verify_bundle(folder, publication.trusted, expected_name=publication.model, newer_than=None)

    def ask(edge: PyroControlClient) -> dict[str, JsonValue]:
        if not goes_by_releases(edge.call("status", {})):
            return edge.call("measure", {"folder": str(folder)})
        if (book := ReleaseBook.of(publication.settings)) is not None:
            reason = "to be measured at the edge before it is judged"
            book.publish(folder, manifest, reason=reason, who=publication.who, challenger=True)
        return edge.call("measure", {})

    say("the edge measures how fast the challenger is there")
    measured = _asked(publication, ask)
    if measured.envelope_sha256 != sha256_file(folder / BUNDLE_ENVELOPE):
        raise InstallationError(
            f"The edge measured {measured.model_name} v{measured.model_version} and not the challenger, "
            f"v{manifest.version}.",
            safe="nothing was promoted.",
            next_step="see whether another run or a person released a challenger meanwhile; resume the run.",
        )
    say(measured.sentence)
    return measured


def measured_in_service(publication: Publication) -> LatencyMeasurement:
    """Have this site's edge time the model in service, to compare with.

    Raises:
        CommandRefusedError: no model is in service.
        ServiceUnavailableError: the edge did not answer for a minute.
    """
    return _asked(publication, lambda edge: edge.call("measure", {"serving": True}))


def _asked(
    publication: Publication, ask: Callable[[PyroControlClient], dict[str, JsonValue]]
) -> LatencyMeasurement:
    try:
        with asking_edge(publication.settings, timeout_s=_CALL_TIMEOUT_S) as (edge, attempts):
            return LatencyMeasurement.model_validate(attempts(ask, edge))
    except ValidationError as error:
        raise InstallationError(
            f"What the edge measured cannot be read: {error.errors()[0]['msg']}.",
            safe="nothing was promoted.",
            next_step="update the edge or this hub.",
        ) from error
