"""Versions, aliases and history on a real MLflow server."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from mlflow import MlflowClient
from securesystemslib.signer import CryptoSigner

from eucentric_core import BundleError, EucentricError, ServiceUnavailableError
from eucentric_core.transport import find_free_port
from eucentric_model_registry import (
    Registry,
    RegistryError,
    UnknownVersionError,
    VersionConflictError,
    build_and_sign_bundle,
    trusted_keys_of,
)

from .conftest import Publish
from .contents import make_content

pytestmark = pytest.mark.slow


def test_a_new_model_starts_at_version_one_without_champion(registry: Registry, name: str) -> None:
    assert registry.next_version(name) == 1
    assert registry.versions(name) == ()
    assert registry.champion(name) is None
    assert registry.history(name) == ()
    assert registry.find_by_trigger(name, "trigger-1") is None


def test_a_registered_version_has_its_signed_number_and_its_lineage(
    registry: Registry,
    name: str,
    publish: Publish,
    mlflow_url: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for version in (1, 2, 3):
        assert registry.next_version(name) == version
        assert registry.register(name, publish(version)).version == version
    assert capsys.readouterr().out == ""
    assert [found.version for found in registry.versions(name)] == [3, 2, 1]
    newest = registry.versions(name)[0]
    assert newest.lineage.trigger_id == "trigger-3"
    assert newest.lineage.datasets == ("twin.s1", "twin.s2")
    assert newest.metrics == {"f1": 0.91, "calibration_error": 0.05}

    client = MlflowClient(tracking_uri=mlflow_url)
    assert client.get_run(newest.run_id).data.metrics["f1"] == 0.91
    tags = client.get_model_version(name, "3").tags
    assert (tags["policy"], tags["code_version"], tags["training_run_id"]) == ("drift", "0.1.0", "flow-run-7")


def test_one_trigger_gives_one_version(registry: Registry, name: str, publish: Publish) -> None:
    first = registry.register(name, publish(1, trigger_id="drift at frame 7 ('quoted')"))
    again = registry.register(name, publish(2, trigger_id="drift at frame 7 ('quoted')"))
    assert again == first
    assert registry.find_by_trigger(name, "drift at frame 7 ('quoted')") == first
    assert registry.next_version(name) == 2


def test_writers_that_race_for_one_trigger_end_with_one_version(
    mlflow_url: str, signer: CryptoSigner, name: str, publish: Publish
) -> None:
    folders = [publish(1, trigger_id="same") for _ in range(4)]
    registries = [Registry(mlflow_url, trusted_keys_of(signer)) for _ in folders]
    at_once = threading.Barrier(len(folders))

    def register(registry: Registry, folder: Path) -> int:
        at_once.wait(timeout=30)
        return registry.register(name, folder).version

    with ThreadPoolExecutor(len(folders)) as pool:
        versions = set(pool.map(register, registries, folders))
    assert versions == {1}
    assert [found.version for found in registries[0].versions(name)] == [1]
    # Numbers that MLflow gave to the slower writers are never used again.
    following = registries[0].next_version(name)
    assert registries[0].register(name, publish(following)).version == following


def test_a_bundle_with_another_number_than_the_next_is_not_registered(
    registry: Registry, name: str, publish: Publish
) -> None:
    with pytest.raises(VersionConflictError) as refused:
        registry.register(name, publish(5))
    assert refused.value.details == {"next_version": 1}
    assert registry.versions(name) == ()


def test_a_version_that_an_operator_deleted_does_not_come_back(
    registry: Registry, name: str, publish: Publish, mlflow_url: str
) -> None:
    registry.register(name, publish(1))
    MlflowClient(tracking_uri=mlflow_url).delete_model_version(name, "1")
    for _ in range(3):
        try:
            registered = registry.register(name, publish(registry.next_version(name)))
            break
        except VersionConflictError:
            continue
    assert registered.version > 1
    assert [found.version for found in registry.versions(name)] == [registered.version]


def test_what_is_not_signed_or_not_this_model_is_not_registered(
    registry: Registry, name: str, publish: Publish, tmp_path: Path
) -> None:
    build_and_sign_bundle(tmp_path / "foreign", make_content(name=name), CryptoSigner.generate_ed25519())
    with pytest.raises(BundleError, match="trusted key"):
        registry.register(name, tmp_path / "foreign")
    with pytest.raises(BundleError, match="not 'another'"):
        registry.register("another", publish(1))
    assert registry.versions(name) == ()


def test_promotion_moves_aliases_and_is_remembered(registry: Registry, name: str, publish: Publish) -> None:
    for version in (1, 2):
        registry.register(name, publish(version))
    registry.promote(name, 1, reason="first model", who="start")
    assert registry.nominate(name, 2).aliases == ("challenger",)
    promotion = registry.promote(name, 2, reason="F1 0.91 against 0.60", who="flow retrain")
    assert (promotion.version, promotion.previous_version) == (2, 1)

    champion, previous = registry.champion(name), registry.previous(name)
    assert champion is not None
    assert previous is not None
    assert (champion.version, previous.version) == (2, 1)
    assert registry.challenger(name) is None
    registry.promote(name, 1, reason="rolled back by the operator", who="alice")
    assert [(entry.version, entry.previous_version, entry.who) for entry in registry.history(name)] == [
        (1, None, "start"),
        (2, 1, "flow retrain"),
        (1, 2, "alice"),
    ]


def test_a_repeated_promotion_is_one_promotion(registry: Registry, name: str, publish: Publish) -> None:
    registry.register(name, publish(1))
    first = registry.promote(name, 1, reason="first model", who="start")
    assert registry.promote(name, 1, reason="again", who="start") == first
    assert registry.history(name) == (first,)


def test_a_promotion_that_a_crash_cut_short_is_completed_by_repeating_it(
    registry: Registry, name: str, publish: Publish, mlflow_url: str
) -> None:
    for version in (1, 2):
        registry.register(name, publish(version))
    registry.promote(name, 1, reason="first model", who="start")
    registry.nominate(name, 2)
    # What a crash right after the champion moved leaves: no history, and still a challenger.
    client = MlflowClient(tracking_uri=mlflow_url)
    client.set_registered_model_alias(name, "previous", "1")
    client.set_registered_model_alias(name, "champion", "2")

    completed = registry.promote(name, 2, reason="better", who="flow")
    assert (completed.version, completed.previous_version) == (2, 1)
    assert registry.history(name)[-1] == completed
    assert registry.challenger(name) is None


def test_a_version_that_does_not_exist_is_neither_promoted_nor_downloaded(
    registry: Registry, name: str, publish: Publish, tmp_path: Path
) -> None:
    registry.register(name, publish(1))
    with pytest.raises(UnknownVersionError, match="no version 9"):
        registry.promote(name, 9, reason="typing mistake", who="bob")
    with pytest.raises(UnknownVersionError, match="no version 9"):
        registry.download(name, 9, tmp_path / "bundle")
    assert registry.champion(name) is None


def test_a_downloaded_bundle_is_the_registered_one(
    registry: Registry, name: str, publish: Publish, tmp_path: Path
) -> None:
    folder = publish(1)
    registry.register(name, folder)
    manifest = registry.download(name, 1, tmp_path / "got" / "bundle")
    assert manifest.version == 1
    assert {path.name: path.read_bytes() for path in (tmp_path / "got" / "bundle").iterdir()} == {
        path.name: path.read_bytes() for path in folder.iterdir()
    }
    assert [path.name for path in (tmp_path / "got").iterdir()] == ["bundle"]
    with pytest.raises(RegistryError, match="exists already"):
        registry.download(name, 1, tmp_path / "got" / "bundle")


def test_a_bundle_that_was_changed_in_the_store_is_not_handed_out(
    registry: Registry, name: str, publish: Publish, tmp_path: Path, mlflow_url: str
) -> None:
    registered = registry.register(name, publish(1))
    client = MlflowClient(tracking_uri=mlflow_url)
    (tmp_path / "member-0.safetensors").write_bytes(b"other weights")
    client.log_artifact(registered.run_id, str(tmp_path / "member-0.safetensors"), "bundle")
    with pytest.raises(BundleError, match="member-0"):
        registry.download(name, 1, tmp_path / "bundle")

    # A whole bundle, well signed, but another one.
    client.log_artifacts(registered.run_id, str(publish(1, trigger_id="other")), "bundle")
    with pytest.raises(BundleError, match="not what was registered"):
        registry.download(name, 1, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize("name", ["../atoms", "a' OR name LIKE '%", "", "atoms\n"])
def test_a_name_that_is_none_is_refused_before_mlflow_sees_it(name: str, registry: Registry) -> None:
    with pytest.raises(RegistryError, match="cannot be the name"):
        registry.versions(name)


def test_a_server_that_is_not_there_is_a_typed_error_in_bounded_time(signer: CryptoSigner, name: str) -> None:
    registry = Registry(f"http://127.0.0.1:{find_free_port()}", trusted_keys_of(signer), timeout_s=1)
    started_s = time.monotonic()
    with pytest.raises(ServiceUnavailableError, match="did not answer") as refused:
        registry.versions(name)
    # Far above what three tries take, far below MLflow's own default of many minutes.
    assert time.monotonic() - started_s < 60
    assert isinstance(refused.value, EucentricError)
