"""The catalogue of bundles in MLflow 3: one version per trigger, aliases with a history."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from eucentric_core import (
    BUNDLE_ENVELOPE,
    BundleManifest,
    TrustedKeys,
    sha256_file,
    utc_now,
    verify_bundle,
)

from ._deployments import Deployments
from ._errors import RegistryError, UnknownVersionError, VersionConflictError
from ._mlflow_session import MlflowSession
from ._registered import Promotion, RegisteredVersion
from ._stored_bundle import ARTIFACTS, checked_files, fetch_stored, tampered
from ._version_tags import checked_name, is_valid, registered_version, trigger_digest, version_tags

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

__all__ = ["Registry"]

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"

_PROMOTION_TAG = "promotion."
_PAGE = 200


class Registry:
    """Registered versions, their aliases and their history on one MLflow server.

    MLflow is a catalogue and not the root of trust: bundles are verified before they are registered
    and after they are downloaded. Every method may be repeated after a failure.

    Args:
        mlflow_url: for example `http://127.0.0.1:5000`.
        trusted: keys that may sign bundles.
        timeout_s: for each request; a request is tried three times.
        login_file: holds name and password where the server asks for them (`hub.mlflow_login_file`).

    Raises:
        RegistryUnavailableError: (every method) MLflow does not answer in time.
        RegistryError: (every method) MLflow refused the request.
    """

    def __init__(
        self, mlflow_url: str, trusted: TrustedKeys, *, timeout_s: int = 10, login_file: Path | None = None
    ) -> None:
        self._session = MlflowSession(mlflow_url, timeout_s=timeout_s, login_file=login_file)
        self.trusted = trusted
        self.deployments = Deployments(self._session)

    def names(self) -> tuple[str, ...]:
        """The models there are, by name; at most 200."""
        with self._session.asking("list the models") as client:
            return tuple(sorted(model.name for model in client.search_registered_models(max_results=_PAGE)))

    def next_version(self, name: str) -> int:
        """The number that MLflow will give to the next version; it has to be in the signed manifest."""
        with self._session.asking(f"list the versions of {name}") as client:
            return max((int(version.version) for version in _search(client, name)), default=0) + 1

    def versions(self, name: str) -> tuple[RegisteredVersion, ...]:
        """All versions, newest first; empty if the model is unknown."""
        with self._session.asking(f"list the versions of {name}") as client:
            aliases = _aliases(client, name)
            found = [
                registered_version(version, aliases) for version in _search(client, name) if is_valid(version)
            ]
        return tuple(sorted(found, key=lambda version: version.version, reverse=True))

    def find_by_trigger(self, name: str, trigger_id: str) -> RegisteredVersion | None:
        """The version that a trigger has led to, so that no trigger leads to a second one."""
        with self._session.asking(f"look for trigger {trigger_id}") as client:
            found = _search(client, name, f" and tags.trigger_sha256 = '{trigger_digest(trigger_id)}'")
            valid = sorted((version for version in found if is_valid(version)), key=lambda v: int(v.version))
            return registered_version(valid[0], _aliases(client, name)) if valid else None

    def champion(self, name: str) -> RegisteredVersion | None:
        """The version that edges should serve, if there is one."""
        return self._by_alias(name, CHAMPION)

    def challenger(self, name: str) -> RegisteredVersion | None:
        """The version under judgement, if there is one."""
        return self._by_alias(name, CHALLENGER)

    def previous(self, name: str) -> RegisteredVersion | None:
        """The champion before this one, if there was one."""
        return self._by_alias(name, PREVIOUS)

    def register(self, name: str, folder: Path) -> RegisteredVersion:
        """Verify a bundle, store its files under an MLflow run and make it a version.

        A trigger id that has a version already is answered with that version, and nothing is stored.

        Raises:
            BundleError: the bundle is not signed by a trusted key, damaged, expired or another model's.
            VersionConflictError: the signed version is not the next one.
        """
        manifest = verify_bundle(folder, self.trusted, expected_name=name, newer_than=None)
        trigger_id = manifest.lineage.trigger_id
        if (existing := self.find_by_trigger(name, trigger_id)) is not None:
            return existing
        if (expected := self.next_version(name)) != manifest.version:
            raise _conflict(manifest, expected)
        with self._session.asking(f"register {name} v{manifest.version}") as client:
            run_id = self._store(client, folder, manifest)
            with _unless_existing():
                client.create_registered_model(name)
            # Number and content are compared when a version is read (`is_valid`), so one that got
            # another number, because a second writer was faster, never counts, even after a crash here.
            created = client.create_model_version(
                name,
                f"runs:/{run_id}/{ARTIFACTS}",
                run_id,
                tags=version_tags(manifest, sha256_file(folder / BUNDLE_ENVELOPE)),
                await_creation_for=0,
            )
        if (registered := self.find_by_trigger(name, trigger_id)) is None:
            raise _conflict(manifest, int(created.version) + 1)
        return registered

    def attach_evidence(self, name: str, version: int, folder: Path) -> None:
        """Store what a version was judged by: `comparison.html`, verdict and figures; a repeat replaces it.

        Raises:
            UnknownVersionError: there is no such version.
        """
        from ._evidence_store import store_evidence

        run_id = self.version(name, version).run_id
        with self._session.asking(f"store the evidence of {name} v{version}") as client:
            store_evidence(client, run_id, folder)

    def evidence_page(self, name: str, version: int) -> bytes | None:
        """The page on which a version was judged, HTML; None if there is none.

        Raises:
            UnknownVersionError: there is no such version.
            BundleError: MLflow holds something else.
        """
        from ._evidence_store import fetch_page

        run_id = self.version(name, version).run_id
        with self._session.asking(f"fetch the evidence of {name} v{version}") as client:
            return fetch_page(client, run_id)

    def nominate(self, name: str, version: int) -> RegisteredVersion:
        """Give a version the alias `challenger`.

        Raises:
            UnknownVersionError: there is no such version.
        """
        self.version(name, version)
        with self._session.asking(f"nominate {name} v{version}") as client:
            client.set_registered_model_alias(name, CHALLENGER, str(version))
        return self.version(name, version)

    def promote(self, name: str, version: int, *, reason: str, who: str) -> Promotion:
        """Make a version champion and the old champion `previous`, and record both.

        The aliases move first and the record follows, so that the history never claims what did not
        happen; a repeated call completes what a crash left, and changes nothing once all is done.

        Raises:
            UnknownVersionError: there is no such version.
        """
        promoted = self.version(name, version)
        champion, last = self.champion(name), next(iter(reversed(self.history(name))), None)
        if champion is not None and champion.version == version:
            if last is not None and last.version == version:
                return last
            old = self.previous(name)
        else:
            old = champion
        promotion = Promotion(
            name=name,
            version=version,
            previous_version=old.version if old is not None else None,
            reason=reason,
            who=who,
            promoted_utc=utc_now(),
            kind="promoted" if old is None or old.version < version else "rolled_back",
        )
        with self._session.asking(f"promote {name} v{version}") as client:
            if old is not None:
                client.set_registered_model_alias(name, PREVIOUS, str(old.version))
            client.set_registered_model_alias(name, CHAMPION, str(version))
            if CHALLENGER in promoted.aliases:
                client.delete_registered_model_alias(name, CHALLENGER)
            _note(client, promotion)
        return promotion

    def withdraw(self, name: str, version: int, *, reason: str, who: str) -> Promotion | None:
        """Take back a promotion that an edge refused: the champion before it is champion again.

        `previous` is then what it was before the promotion. A repeat, or a version that is not champion
        any more, changes nothing.

        Returns:
            The line that was added to the history; None if nothing was changed.

        Raises:
            UnknownVersionError: there is no such version.
        """
        self.version(name, version)
        champion = self.champion(name)
        if champion is None or champion.version != version:
            return None
        before = self.previous(name)
        earlier = self._champion_before(name, before.version) if before is not None else None
        promotion = Promotion(
            name=name,
            version=version if before is None else before.version,
            previous_version=version,
            reason=reason,
            who=who,
            promoted_utc=utc_now(),
            kind="withdrawn",
        )
        with self._session.asking(f"withdraw {name} v{version}") as client:
            if before is None:
                client.delete_registered_model_alias(name, CHAMPION)
            else:
                client.set_registered_model_alias(name, CHAMPION, str(before.version))
                if earlier is None:
                    client.delete_registered_model_alias(name, PREVIOUS)
                else:
                    client.set_registered_model_alias(name, PREVIOUS, str(earlier))
            _note(client, promotion)
        return promotion

    def _champion_before(self, name: str, version: int) -> int | None:
        known = {registered.version for registered in self.versions(name)}
        for promotion in reversed(self.history(name)):
            if promotion.version == version and promotion.kind != "withdrawn":
                before = promotion.previous_version
                return before if before in known else None
        return None

    def history(self, name: str) -> tuple[Promotion, ...]:
        """All promotions, oldest first; empty if the model is unknown."""
        with suppress(UnknownVersionError), self._session.asking(f"read the history of {name}") as client:
            tags = client.get_registered_model(name).tags
            return tuple(
                Promotion.model_validate_json(tags[key])
                for key in sorted(tags)
                if key.startswith(_PROMOTION_TAG)
            )
        return ()

    def download(self, name: str, version: int, folder: Path, *, vouching: bool = False) -> BundleManifest:
        """Fetch a version's bundle and verify it; the folder appears complete or not at all.

        Args:
            name: of the model.
            version: of the model.
            folder: must not exist yet.
            vouching: for who signs it anew: its signature need not count any more. That it is what was
                registered, and that its files are those of its manifest, is checked all the same.

        Raises:
            UnknownVersionError: there is no such version.
            RegistryError: the folder exists already.
            BundleError: what MLflow holds is not the bundle that was registered.
        """
        if folder.exists():
            raise RegistryError(
                f"{folder} exists already.", safe="nothing was downloaded.", next_step="choose a new folder."
            )
        registered = self.version(name, version)
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            with self._session.asking(f"download {name} v{version}") as client:
                stored = fetch_stored(client, registered.run_id, aside)
            if vouching:
                manifest = checked_files(stored, expected_name=name)
            else:
                manifest = verify_bundle(stored, self.trusted, expected_name=name, newer_than=None)
            if sha256_file(stored / BUNDLE_ENVELOPE) != registered.envelope_sha256:
                raise tampered(f"What is stored for {name} v{version} is not what was registered.")
            stored.rename(folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return manifest

    def version(self, name: str, version: int) -> RegisteredVersion:
        """One version.

        Raises:
            UnknownVersionError: there is no such version.
        """
        for registered in self.versions(name):
            if registered.version == version:
                return registered
        raise UnknownVersionError(
            f"Model {name!r} has no version {version}.",
            safe="no alias was moved.",
            next_step="see `eucentric models ls`.",
        )

    def _by_alias(self, name: str, alias: str) -> RegisteredVersion | None:
        return next((version for version in self.versions(name) if alias in version.aliases), None)

    def _store(self, client: MlflowClient, folder: Path, manifest: BundleManifest) -> str:
        run_name = f"{manifest.name}-v{manifest.version}"
        run = client.create_run(_experiment(client, f"eucentric.{manifest.name}"), run_name=run_name)
        run_id = str(run.info.run_id)
        try:
            for key, value in manifest.metrics.items():
                client.log_metric(run_id, key, value)
            client.log_artifacts(run_id, str(folder), ARTIFACTS)
        except BaseException:
            client.set_terminated(run_id, "FAILED")
            raise
        client.set_terminated(run_id, "FINISHED")
        return run_id


def _note(client: MlflowClient, promotion: Promotion) -> None:
    # The key is unique, so two writers cannot overwrite each other's line of history.
    key = f"{_PROMOTION_TAG}{promotion.promoted_utc:%Y%m%dT%H%M%S.%f}.{uuid4().hex[:8]}"
    client.set_registered_model_tag(promotion.name, key, promotion.model_dump_json())


def _experiment(client: MlflowClient, name: str) -> str:
    with _unless_existing():
        client.create_experiment(name)
    found = client.get_experiment_by_name(name)
    if found is None:
        raise RegistryError(
            f"MLflow says that experiment {name} both exists and does not.",
            safe="nothing was registered.",
            next_step="restore the experiment in MLflow if it was deleted there.",
        )
    return str(found.experiment_id)


@contextmanager
def _unless_existing() -> Iterator[None]:
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _search(client: MlflowClient, name: str, condition: str = "") -> list[ModelVersion]:
    condition = f"name = '{checked_name(name)}'{condition}"
    found: list[ModelVersion] = []
    token: str | None = None
    while True:
        page = client.search_model_versions(condition, max_results=_PAGE, page_token=token)
        found.extend(page)
        token = page.token
        if not token:
            return found


def _aliases(client: MlflowClient, name: str) -> dict[str, str]:
    found = client.search_registered_models(f"name = '{checked_name(name)}'", max_results=1)
    return {str(alias): str(version) for alias, version in found[0].aliases.items()} if found else {}


def _conflict(manifest: BundleManifest, expected: int) -> VersionConflictError:
    return VersionConflictError(
        f"The bundle is signed as {manifest.name} v{manifest.version}, the next version is v{expected}.",
        safe="no alias was moved and no edge has seen it.",
        next_step="build and sign the bundle again with the registry's next version.",
        next_version=expected,
    )
