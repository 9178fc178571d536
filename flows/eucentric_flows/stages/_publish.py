"""Signing, registering and promoting a version; each step may be repeated."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, uuid5

from eucentric_core import (
    BundleError,
    EucentricError,
    Lineage,
    ModelPromoted,
    Settings,
    TrustedKeys,
    code_version,
    trace_id_of,
    verify_bundle,
)
from eucentric_data_repository import LineageRecorder, database_of
from eucentric_model_registry import (
    BundleIdentity,
    RegisteredVersion,
    Registry,
    build_and_sign_draft,
    load_signer,
)

from .._errors import HeldError
from .._event_outbox import EventOutbox
from ._judgement import Judgement
from ._workspace import Workspace

if TYPE_CHECKING:
    from eucentric_hpc.recipes import BundleDraft

__all__ = ["Publication", "promote", "record_lineage", "register", "require_not_outrun", "sign"]

_SOURCE = "hub"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Publication:
    """Who publishes what, where.

    `policy` or `requested_by` is who wanted it; neither is known of a first training.
    """

    settings: Settings
    registry: Registry
    trusted: TrustedKeys
    model: str
    trigger_id: str
    policy: str | None
    workspace: Workspace
    requested_by: str | None = None

    @property
    def who(self) -> str:
        """Whose decision it is, for the history."""
        return f"policy {self.policy}" if self.policy else self.requested_by or "manual"


def sign(
    publication: Publication,
    draft: BundleDraft,
    judgement: Judgement,
    *,
    material: str,
    datasets: tuple[str, ...],
    trained_from: str | None,
) -> None:
    """Make the signed bundle, with the version number that the registry will give.

    Raises:
        ConfigurationError: the signing key is missing or open to others.
        RegistryError: the parts do not fit each other.
    """
    registry, model, folder = publication.registry, publication.model, publication.workspace.bundle
    if registry.find_by_trigger(model, publication.trigger_id) is not None:
        return
    version = registry.next_version(model)
    if folder.exists():
        if _signed_version(publication) == version:
            return
        shutil.rmtree(folder)
    build_and_sign_draft(
        folder,
        draft.model_copy(update={"metrics": {**draft.metrics, **judgement.metrics}}),
        BundleIdentity(
            name=model,
            version=version,
            material=material,
            lineage=Lineage(
                datasets=datasets,
                code_version=code_version(),
                trigger_id=publication.trigger_id,
                policy=publication.policy,
                run_id=publication.trigger_id,
                trained_from=trained_from,
            ),
        ),
        load_signer(publication.settings.signing_key_path),
    )


def register(publication: Publication) -> RegisteredVersion:
    """Make the bundle a version of the model, as challenger; a trigger has one version, whenever it is asked.

    Raises:
        BundleError: the bundle is not what was signed.
        VersionConflictError: somebody else registered a version meanwhile; resume the run to sign anew.
    """
    registry, model = publication.registry, publication.model
    version = registry.find_by_trigger(model, publication.trigger_id)
    if version is None:
        version = registry.register(model, publication.workspace.bundle)
    if "champion" in version.aliases:
        return version
    return registry.nominate(model, version.version)


def require_not_outrun(publication: Publication, version: RegisteredVersion) -> None:
    """Check that no newer version has become champion.

    Raises:
        HeldError: a newer version has become champion since this one was judged.
    """
    champion = publication.registry.champion(publication.model)
    if champion is not None and champion.version > version.version:
        raise HeldError(
            f"version {champion.version} has become champion before version {version.version}",
            safe="the newer champion stays.",
            next_step="nothing needs to be done; to go back, publish the older weights as a new version.",
        )


def promote(publication: Publication, version: RegisteredVersion, reason: str, outbox: EventOutbox) -> None:
    """Make the version champion and announce it.

    Raises:
        HeldError: a newer version has become champion since this one was judged.
        UnknownVersionError: there is no such version.
    """
    require_not_outrun(publication, version)
    publication.registry.promote(publication.model, version.version, reason=reason, who=publication.who)
    outbox.add(
        ModelPromoted(
            # One promotion is one event, also when the stage is repeated.
            id=uuid5(NAMESPACE_URL, f"model.promoted:{publication.trigger_id}").hex,
            source=_SOURCE,
            model_name=publication.model,
            model_version=version.version,
            reason=reason,
            trace_id=trace_id_of(publication.trigger_id),
        )
    )


def record_lineage(publication: Publication, version: int, *, edge: str | None = None) -> None:
    """Tell the repository what the version was trained on and, if so, at which edge it serves; once.

    The signed bundle says the same: a catalogue that cannot be written does not hold up a model.
    """
    try:
        manifest = verify_bundle(
            publication.workspace.bundle,
            publication.trusted,
            expected_name=publication.model,
            newer_than=None,
        )
        with LineageRecorder(database_of(publication.settings)) as lineage:
            lineage.record_training(publication.model, version, manifest.lineage)
            if edge is not None:
                lineage.record_installation(publication.model, version, edge=edge)
    except EucentricError as error:
        _log.warning("the lineage of version %d is not in the catalogue: %s", version, error.what)


def _signed_version(publication: Publication) -> int | None:
    try:
        folder = publication.workspace.bundle
        return verify_bundle(
            folder, publication.trusted, expected_name=publication.model, newer_than=None
        ).version
    except BundleError:
        return None
