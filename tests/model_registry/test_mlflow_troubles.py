"""An MLflow that is down, slow, failing or lying: typed errors, nothing believed, and then on it goes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from mlflow import MlflowClient
from securesystemslib.signer import CryptoSigner

from eucentric_core import BundleError
from eucentric_flows._patience import patient
from eucentric_model_registry import (
    Registry,
    RegistryError,
    RegistryUnavailableError,
    UnknownVersionError,
    trusted_keys_of,
)

from ..servers.http_relay import Answer, Relay, running_relay
from .conftest import Publish

pytestmark = pytest.mark.slow

SHORT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
}


@pytest.fixture
def relay(mlflow_url: str) -> Iterator[Relay]:
    """What lies between the hub's rooms and MLflow."""
    with running_relay(urlsplit(mlflow_url).port or 0) as relay:
        yield relay


@pytest.fixture
def behind(relay: Relay, signer: CryptoSigner, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The registry as it is seen through the relay."""
    for name, value in SHORT.items():
        monkeypatch.setenv(name, value)
    return Registry(relay.url, trusted_keys_of(signer))


def failing(status: int) -> Answer:
    return Answer(status, b'{"error_code": "INTERNAL_ERROR", "message": "no disk"}')


@pytest.mark.parametrize("trouble", ["gone", 500, 503, 504])
def test_what_cannot_be_asked_now_may_be_asked_again(
    behind: Registry, relay: Relay, name: str, publish: Publish, trouble: str | int
) -> None:
    folder = publish(1)
    if isinstance(trouble, int):
        relay.answer = lambda method, path: failing(trouble)
    else:
        relay.gone = True
    for ask in (
        lambda: behind.versions(name),
        lambda: behind.champion(name),
        lambda: behind.history(name),
        lambda: behind.deployments.latest(name),
        lambda: behind.register(name, folder),
    ):
        with pytest.raises(RegistryUnavailableError, match="did not answer"):
            ask()
    relay.well()
    assert behind.register(name, folder).version == 1
    assert behind.promote(name, 1, reason="first", who="test").version == 1


def test_a_server_that_answers_too_late_has_not_answered(
    behind: Registry, relay: Relay, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    relay.pause_s = 4.0
    with pytest.raises(RegistryUnavailableError):
        behind.versions(name)


def test_a_stage_of_a_run_waits_and_goes_on_where_it_was(
    behind: Registry, relay: Relay, name: str, publish: Publish
) -> None:
    folder, said = publish(1), []
    relay.gone = True

    def say(message: str) -> None:
        said.append(message)
        if len(said) == 2:
            relay.well()

    stage = patient(lambda _: behind.register(name, folder), longest_pause_s=0.1)
    assert stage(say).version == 1
    assert len(said) == 2
    assert "waiting for the model registry" in said[0]
    assert [version.version for version in behind.versions(name)] == [1]


def test_a_stage_does_not_wait_for_ever_nor_for_what_waiting_does_not_mend(
    behind: Registry, relay: Relay, name: str
) -> None:
    said: list[str] = []
    with pytest.raises(UnknownVersionError):
        patient(lambda _: behind.nominate(name, 3))(said.append)
    relay.gone = True
    with pytest.raises(RegistryUnavailableError):
        patient(lambda _: behind.versions(name), keep_trying_s=0.0)(said.append)
    assert said == []


@pytest.mark.parametrize("cut", ["search", "create", "finish"])
def test_a_registration_that_was_cut_short_is_repeated_to_one_version(
    behind: Registry, relay: Relay, name: str, publish: Publish, cut: str
) -> None:
    folder = publish(1)
    words = {
        "search": "registered-models/search",
        "create": "model-versions/create",
        "set-tag": "runs/update",
    }

    def answer(method: str, path: str) -> Answer | None:
        return failing(500) if words[cut] in path else None

    relay.answer = answer
    with pytest.raises(RegistryUnavailableError):
        behind.register(name, folder)
    relay.well()
    assert behind.register(name, folder).version == 1
    assert len(behind.versions(name)) == 1


def test_other_weights_than_were_registered_are_not_kept(
    behind: Registry, relay: Relay, name: str, publish: Publish, tmp_path: Path
) -> None:
    behind.register(name, publish(1))

    def answer(method: str, path: str) -> Answer | None:
        wanted = method == "GET" and path.split("?", maxsplit=1)[0].endswith("member-0.safetensors")
        return Answer(200, b"other weights") if wanted else None

    relay.answer = answer
    with pytest.raises(BundleError, match=r"member-0\.safetensors"):
        behind.download(name, 1, tmp_path / "fetched")
    assert list(tmp_path.glob("*fetched*")) == []


def test_another_signed_version_is_not_taken_for_the_one_asked_for(
    behind: Registry, mlflow_url: str, name: str, publish: Publish, tmp_path: Path
) -> None:
    folders = [publish(1), publish(2)]
    for folder in folders:
        behind.register(name, folder)
    # Whoever writes to MLflow's store puts the older version, signed as it is, where the newer one lies.
    run_id = behind.version(name, 2).run_id
    MlflowClient(tracking_uri=mlflow_url).log_artifacts(run_id, str(folders[0]), "bundle")
    with pytest.raises(BundleError, match="is not what was registered"):
        behind.download(name, 2, tmp_path / "fetched")
    assert not (tmp_path / "fetched").exists()


@pytest.mark.parametrize("files", [300, 1])
def test_a_list_of_files_that_no_bundle_has_is_not_fetched(
    behind: Registry, relay: Relay, name: str, publish: Publish, tmp_path: Path, files: int
) -> None:
    behind.register(name, publish(1))
    size = 1 << 40 if files == 1 else 1
    listed: list[dict[str, Any]] = [
        {"path": f"bundle/file-{n}", "is_dir": False, "file_size": size} for n in range(files)
    ]

    def answer(method: str, path: str) -> Answer | None:
        if "artifacts/list" in path or ("mlflow-artifacts" in path and "path=" in path):
            flat = [{**entry, "path": entry["path"].partition("/")[2]} for entry in listed]
            body = {"root_uri": "x", "files": listed if "artifacts/list" in path else flat}
            return Answer(200, json.dumps(body).encode())
        return None

    relay.answer = answer
    with pytest.raises(BundleError, match="cannot belong to a bundle"):
        behind.download(name, 1, tmp_path / "fetched")


def test_an_answer_that_is_no_answer_is_a_typed_error(behind: Registry, relay: Relay, name: str) -> None:
    relay.answer = lambda method, path: Answer(200, b"<html>captive portal</html>")
    with pytest.raises((RegistryError, RegistryUnavailableError)):
        behind.versions(name)
