"""The signing key and the online key are stolen: what the thief can do, and how the site goes on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from eucentric_core import BundleError, ReleaseRefusedError, TrustedKeys, sha256_file, verify_bundle
from eucentric_model_registry import (
    KeyFolder,
    Registry,
    ReleaseBook,
    build_and_sign_bundle,
    load_signer,
    rotate_key,
)
from eucentric_model_registry._cli import keys_app

from ..edge.test_releases import Edge
from .contents import make_content
from .hub import Hub

pytestmark = pytest.mark.slow


class Thief:
    """Has a copy of the private keys and writes to wherever edges read; has no root key."""

    def __init__(self, folder: Path, hub: Hub) -> None:
        shutil.copytree(hub.keys.folder, folder / "keys", ignore=shutil.ignore_patterns("root-key-*"))
        keys = folder / "keys"
        self._keys = KeyFolder(keys / "signing-key.pem", keys / "trusted-keys.json", keys / "root.json")
        self._hub, self._folder = hub, folder

    def release(self, version: int) -> None:
        """Sign weights of their own as a version of the model, and release it."""
        folder = self._folder / f"bundle-{version}"
        content = make_content(name=self._hub.name, version=version, trigger_id=f"stolen-{version}")
        build_and_sign_bundle(folder, content, load_signer(self._keys.signing))
        trusted = TrustedKeys.read(self._keys.trusted)
        manifest = verify_bundle(folder, trusted, expected_name=self._hub.name, newer_than=None)
        book = ReleaseBook(self._hub.settings.releases_path, self._keys)
        book.publish(folder, manifest, reason="the best ever", who="the director")


@pytest.fixture
def hub(tmp_path: Path, mlflow_url: str, name: str) -> Hub:
    from eucentric_core.transport import find_free_port

    return Hub(tmp_path, mlflow_url, name, find_free_port())


def test_after_a_theft_the_site_goes_on_with_what_it_knows_and_edges_take_nothing_else(
    hub: Hub, tmp_path: Path
) -> None:
    for version in (1, 2):
        hub.register(version)
        hub.move(version)
    edge = Edge(tmp_path / "site", hub, model=hub.name)
    edge.watch.look()
    assert edge.version == 2
    known = {version.version: version.envelope_sha256 for version in hub.registry.versions(hub.name)}
    thief = Thief(tmp_path / "thief", hub)

    # Until somebody notices, the keys are as good in their hands as in ours.
    thief.release(3)
    edge.watch.look()
    assert edge.version == 3

    # 1. New keys; the root key was not among what was stolen. The thief's release is still the newest.
    config = ["--config", str(hub.config)]
    for words in (["rotate", "signing", "--compromised"], ["rotate", "online"]):
        done = CliRunner().invoke(keys_app, [*words, *config])
        assert done.exit_code == 0, done.output
    hub.registry = Registry(hub.settings.hub.mlflow_url, TrustedKeys.read(hub.keys.trusted))

    # 2. Nothing that the old key signed counts in the registry; it is listed, with its hash.
    with pytest.raises(BundleError, match="trusted key"):
        hub.registry.download(hub.name, 2, tmp_path / "old")
    listed = json.loads(hub.run("resign", "--json").output)
    assert {entry["version"]: entry["envelope_sha256"] for entry in listed} == known
    assert "compare the hashes" in hub.run("resign").output

    # 3. What is known to be good is checked, signed anew and promoted; twice gives no second version.
    signed = json.loads(hub.run("resign", "v2", "--reason", "known from the edge", "--json").output)
    assert [(entry["version"], entry["new_version"], entry["reason"]) for entry in signed] == [(2, 3, "")]
    assert json.loads(hub.run("resign", "v2", "--json").output)[0]["new_version"] == 3
    assert [entry["version"] for entry in json.loads(hub.run("resign", "--json").output)] == [1]
    assert "known from the edge" in hub.run("show", "v3").output
    promoted = hub.run("promote", "v3", "--reason", "after the theft")
    assert promoted.exit_code == 0, promoted.output

    # 4. The edge takes it, although the thief counted on: the new root ranks first. It even takes it in the
    # place of the thief's, which has the same number and is not kept to go back to.
    edge.watch.look()
    assert edge.slot.model is not None
    served = edge.slot.model.manifest
    assert (served.version, served.lineage.trigger_id) == (3, f"import-{known[2][:16]}")
    assert edge.metadata.view.root_version == 3
    assert edge.installer.state.previous == 2
    assert edge.installer.rollback(frame_shape=None).version == 2


def test_with_keys_that_were_replaced_the_thief_releases_nothing_more(hub: Hub, tmp_path: Path) -> None:
    hub.register(1)
    hub.move(1)
    edge = Edge(tmp_path / "site", hub, model=hub.name)
    edge.watch.look()
    thief = Thief(tmp_path / "thief", hub)
    rotate_key(hub.keys, hub.settings.releases_path, "signing", compromised=True)
    rotate_key(hub.keys, hub.settings.releases_path, "online")
    edge.watch.look()
    before = shutil.copytree(hub.settings.releases_path, tmp_path / "before")
    # They have the folder, too, and sign as if no root had ever been replaced.
    for number in (2, 3):
        (hub.settings.releases_path / "metadata" / f"{number}.root.json").unlink()
    thief.release(9)
    with pytest.raises(ReleaseRefusedError, match="not signed by enough of the trusted keys"):
        edge.watch.look()
    assert edge.version == 1
    shutil.rmtree(hub.settings.releases_path)
    shutil.copytree(before, hub.settings.releases_path)
    stolen = TrustedKeys.read(tmp_path / "thief" / "keys" / "trusted-keys.json")
    assert set(stolen.keys).isdisjoint(TrustedKeys.read(hub.keys.trusted).keys)
    assert edge.watch.look() is None


def test_a_bundle_with_another_hash_than_is_known_is_not_signed(hub: Hub) -> None:
    from eucentric_core import BUNDLE_ENVELOPE

    folder = hub.register(1)
    rotate_key(hub.keys, hub.settings.releases_path, "signing", compromised=True)
    known = sha256_file(folder / BUNDLE_ENVELOPE)
    refused = hub.run("import", str(folder), "--resign", "--sha256", "0" * 64, "--reason", "x")
    assert refused.exit_code == 2
    assert "not the one that was expected" in refused.stderr
    taken = hub.run("import", str(folder), "--resign", "--sha256", known, "--reason", "x")
    assert taken.exit_code == 0, taken.output


def test_weights_that_were_changed_in_the_store_are_not_signed_anew(hub: Hub) -> None:
    from mlflow import MlflowClient

    hub.register(1)
    rotate_key(hub.keys, hub.settings.releases_path, "signing", compromised=True)
    run_id = hub.registry.version(hub.name, 1).run_id
    other = hub.settings.home / "member-0.safetensors"
    other.write_bytes(b"other weights")
    MlflowClient(tracking_uri=hub.settings.hub.mlflow_url).log_artifact(run_id, str(other), "bundle")
    (entry,) = json.loads(hub.run("resign", "v1", "--json").output)
    assert entry["new_version"] is None
    assert "member-0.safetensors" in entry["reason"]
    assert "not taken" in hub.run("resign", "v1").output
