"""A real MLflow server, a real key, and bundles of tiny networks with random weights."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import torch
import zmq
from securesystemslib.signer import CryptoSigner

from eucentric_core import ManagedProcess, answers_ok
from eucentric_core.transport import find_free_port
from eucentric_model_registry import Registry, build_and_sign_bundle, trusted_keys_of

from .contents import make_content

Publish = Callable[..., Path]


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="package")
def mlflow_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("mlflow")
    url = f"http://127.0.0.1:{find_free_port()}"
    config = home / "eucentric.toml"
    config.write_text(f'home = "{home}"\n[hub]\nmlflow_url = "{url}"\n')
    command = [sys.executable, "-m", "eucentric_model_registry", "models", "server", "--config", str(config)]
    process = ManagedProcess("MLflow", command, log=home / "server.log")
    try:
        process.wait_ready(lambda: answers_ok(f"{url}/health"), timeout_s=90)
        yield url
    finally:
        process.stop()


@pytest.fixture(scope="session")
def signer() -> CryptoSigner:
    return CryptoSigner.generate_ed25519()


@pytest.fixture
def registry(mlflow_url: str, signer: CryptoSigner) -> Registry:
    return Registry(mlflow_url, trusted_keys_of(signer))


@pytest.fixture
def name() -> str:
    """A model that no other test knows."""
    return f"atoms-{uuid4().hex[:8]}"


@pytest.fixture
def publish(name: str, signer: CryptoSigner, tmp_path: Path) -> Publish:
    """Build and sign a version of the test's model: `publish(2, trigger_id="t2")`."""

    def build(version: int, *, trigger_id: str | None = None) -> Path:
        folder = tmp_path / f"bundle-{uuid4().hex[:8]}"
        content = make_content(name=name, version=version, trigger_id=trigger_id or f"trigger-{version}")
        build_and_sign_bundle(folder, content, signer)
        return folder

    return build


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    with zmq.Context() as context:
        yield context
