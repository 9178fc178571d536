"""Promotions, refusals and rollbacks: catalogue, signed release and edge tell the same story."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from eucentric_core import BundleError
from eucentric_core.transport import find_free_port
from eucentric_model_registry import (
    Registry,
    RegistryError,
    move_champion,
    rotate_key,
)

from .edge_door import EdgeDoor, serving_door
from .hub import Hub

pytestmark = pytest.mark.slow


@pytest.fixture
def door() -> Iterator[EdgeDoor]:
    with serving_door(find_free_port()) as door:
        yield door


@pytest.fixture
def hub(tmp_path: Path, mlflow_url: str, name: str, door: EdgeDoor) -> Hub:
    return Hub(tmp_path, mlflow_url, name, door.port)


def test_a_promotion_moves_alias_release_and_edge(hub: Hub, door: EdgeDoor) -> None:
    hub.register(1)
    hub.register(2)
    assert hub.move(1).deployment.sentence == "promoted, waiting for edge-1"
    door.serves = 2
    moved = hub.move(2)
    assert moved.deployment.sentence == "serving at edge-1"
    assert (hub.released, hub.aliases) == ((2, 2), {"champion": 2, "previous": 1})
    assert door.asked == ["status", "look", "status"] * 2
    states = [(line.version, line.state) for line in hub.registry.deployments.history(hub.name)]
    assert states == [(1, "waiting"), (2, "waiting"), (2, "serving")]


def test_what_the_edge_refuses_is_taken_back_and_the_catalogue_says_why(hub: Hub, door: EdgeDoor) -> None:
    for version in (1, 2, 3):
        hub.register(version)
    door.serves = 1
    hub.move(1)
    door.serves = 2
    hub.move(2)
    door.refuses = "golden chip 0 is 0.4 away"
    with pytest.raises(BundleError, match="golden chip 0"):
        hub.move(3)
    assert hub.aliases == {"champion": 2, "previous": 1}
    # A higher release names the older version: no other edge takes what was refused.
    assert hub.released == (4, 2)
    last = hub.registry.history(hub.name)[-1]
    assert (last.kind, last.version, last.previous_version, last.who) == ("withdrawn", 2, 3, "edge edge-1")
    assert "refused by edge-1: golden chip 0" in last.reason
    listed = {entry["version"]: entry for entry in json.loads(hub.run("ls", "--json").output)}
    assert listed[3]["deployments"] == ["refused by edge-1: golden chip 0 is 0.4 away"]
    assert "refused by edge-1" in hub.run("show", "v3").output
    assert "withdrawn" in hub.run("history").output


def test_the_first_version_that_is_refused_leaves_no_champion(hub: Hub, door: EdgeDoor) -> None:
    hub.register(1)
    door.refuses = "weights are not finite"
    with pytest.raises(BundleError):
        hub.move(1)
    assert hub.aliases == {}
    assert hub.registry.withdraw(hub.name, 1, reason="again", who="x") is None


def test_an_edge_that_is_down_is_waited_for(tmp_path: Path, mlflow_url: str, name: str) -> None:
    hub = Hub(tmp_path, mlflow_url, name, find_free_port())
    hub.register(1)
    assert hub.move(1).deployment.state == "waiting"
    assert (hub.released, hub.aliases) == ((1, 1), {"champion": 1})
    assert json.loads(hub.run("ls", "--json").output)[0]["deployments"] == ["promoted, waiting for edge-1"]


def test_a_release_that_cannot_be_signed_leaves_the_catalogue_as_it_was(hub: Hub) -> None:
    hub.register(1)
    hub.register(2)
    hub.move(1)
    hub.keys.online.rename(hub.keys.folder / "away.pem")
    with pytest.raises(RegistryError, match="wants 1 signature"):
        hub.move(2)
    assert (hub.released, hub.aliases["champion"]) == ((1, 1), 1)


def test_one_command_goes_back_and_says_so_everywhere(hub: Hub, door: EdgeDoor) -> None:
    hub.register(1)
    hub.register(2)
    hub.move(1)
    hub.move(2)
    door.serves = 1
    back = hub.run("rollback", "--reason", "misses dopants", "--json")
    assert back.exit_code == 0, back.output
    facts = json.loads(back.output)
    assert facts["promotion"]["kind"] == "rolled_back"
    assert (facts["release"]["number"], facts["release"]["bundle_version"]) == (3, 1)
    assert facts["deployment"]["state"] == "serving"
    forward = hub.run("rollback", "v2", "--reason", "no")
    assert forward.exit_code == 2
    assert "not older than the champion" in forward.stderr


def test_an_edge_that_goes_by_keys_goes_back_to_what_lies_on_its_disk(hub: Hub, door: EdgeDoor) -> None:
    for version in (1, 2):
        hub.register(version)
        hub.move(version)
    door.goes_by, door.serves, door.previous = "keys", 2, 1
    back = hub.run("rollback", "--reason", "misses dopants")
    assert back.exit_code == 0, back.output
    assert door.asked[-3:] == ["status", "rollback: misses dopants", "status"]
    assert "serving at edge-1" in back.output


def test_without_a_catalogue_the_same_command_goes_back_at_the_edge(
    tmp_path: Path, name: str, door: EdgeDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    hub = Hub(tmp_path, f"http://127.0.0.1:{find_free_port()}", name, door.port)
    door.serves, door.previous = 2, 1
    named = hub.run("rollback", "v1", "--reason", "misses dopants")
    assert (named.exit_code, door.serves) == (2, 2)
    back = hub.run("rollback", "--reason", "misses dopants")
    assert (back.exit_code, door.serves) == (2, 1)
    assert "went back from v2 and serves v1" in " ".join(back.stderr.split())
    assert "repeat the command" in " ".join(back.stderr.split())


def test_a_person_promotes_compares_verifies_and_shows(hub: Hub) -> None:
    hub.register(1)
    hub.register(2, metrics={"f1": 0.95})
    hub.registry.nominate(hub.name, 2)
    hub.move(1)
    compared = json.loads(hub.run("compare", "--json").output)
    assert compared["figures"]["f1"] == [0.91, 0.95]
    assert "+0.04" in hub.run("compare").output
    promoted = hub.run("promote", "--reason", "F1 0.95 against 0.91")
    assert promoted.exit_code == 0, promoted.output
    assert "release       2, signed under root 1" in promoted.output
    verified = hub.run("verify")
    assert verified.exit_code == 0, verified.output
    assert "release 2 names this very bundle" in verified.output
    assert "the newest release, number 2, names v2" in hub.run("verify", "previous").output
    shown = json.loads(hub.run("show", "--json").output)
    assert shown["environment"]["python"]
    assert [entry["reason"] for entry in shown["promotions"]] == ["F1 0.95 against 0.91"]
    missing = hub.run("show", "v9")
    assert missing.exit_code == 2
    assert "eucentric models ls" in missing.stderr


def test_verify_tells_what_no_edge_would_believe(hub: Hub) -> None:
    hub.register(1)
    hub.move(1)
    timestamp = hub.settings.releases_path / "metadata" / "timestamp.json"
    timestamp.write_text(timestamp.read_text().replace('"version": 2', '"version": 9'))
    refused = hub.run("verify")
    assert refused.exit_code == 2
    assert "not signed by enough" in refused.stderr


def test_a_version_travels_on_a_memory_stick(hub: Hub, tmp_path: Path) -> None:
    hub.register(1)
    hub.register(2)
    hub.move(2)
    stick = tmp_path / "stick"
    exported = json.loads(hub.run("export", "--to", str(stick), "--json").output)
    assert Path(exported["bundle"]) == stick / "bundles" / hub.name / "v000002"
    from eucentric_core.releases import ReleaseTrust, verify_released_bundle
    from eucentric_transfer import PosixMover

    release = ReleaseTrust(tmp_path / "trust", hub.keys.root).newest(hub.name, PosixMover(stick))
    assert release is not None
    assert verify_released_bundle(Path(exported["bundle"]), release).version == 2
    alone = json.loads(hub.run("export", "v1", "--to", str(tmp_path / "alone"), "--json").output)
    assert alone["releases"] is None
    assert hub.run("verify", str(tmp_path / "alone")).exit_code == 0
    again = hub.run("export", "--to", str(stick))
    assert again.exit_code == 2


def test_a_bundle_from_elsewhere_is_taken_in_once_somebody_vouches_for_it(
    hub: Hub, tmp_path: Path, mlflow_url: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    other = Hub(elsewhere, mlflow_url, f"{hub.name}-other", find_free_port())
    folder = other.register(1)
    refused = hub.run("import", str(folder))
    assert refused.exit_code == 2
    assert "trusted key" in refused.stderr
    taken = hub.run("import", str(folder), "--resign", "--reason", "from the other microscope", "--json")
    assert taken.exit_code == 0, taken.output
    facts = json.loads(taken.output)
    assert (facts["version"], facts["aliases"]) == (1, ["challenger"])
    assert "from the other microscope" in facts["lineage"]["trained_from"]
    again = hub.run("import", str(folder), "--resign", "--json")
    assert json.loads(again.output)["version"] == 1
    assert hub.move(1).deployment.state == "waiting"


def test_a_bundle_whose_files_were_changed_is_not_vouched_for(hub: Hub, tmp_path: Path) -> None:
    folder = hub.register(1)
    changed = tmp_path / "changed"
    shutil.copytree(folder, changed)
    (changed / "member-0.safetensors").write_bytes(b"other weights")
    refused = hub.run("import", str(changed), "--resign")
    assert refused.exit_code == 2
    assert len(hub.registry.versions(hub.name)) == 1


def test_after_a_theft_only_what_is_released_anew_is_believed(hub: Hub, door: EdgeDoor) -> None:
    hub.register(1)
    door.serves = 1
    hub.move(1)
    rotate_key(hub.keys, hub.settings.releases_path, "signing", compromised=True)
    from eucentric_core import TrustedKeys

    registry = Registry(hub.settings.hub.mlflow_url, TrustedKeys.read(hub.keys.trusted))
    with pytest.raises(BundleError, match="not signed by"):
        move_champion(hub.settings, registry, hub.name, 1, reason="again", who="alice")
    # The release of before still names version 1: edges keep serving it, under the new root.
    assert hub.released == (1, 1)


def test_evidence_lies_with_the_version_and_is_fetched_as_a_page(hub: Hub, tmp_path: Path) -> None:
    hub.register(1)
    hub.register(2)
    hub.move(1)
    hub.registry.nominate(hub.name, 2)
    assert hub.registry.evidence_page(hub.name, 2) is None
    evidence = tmp_path / "evidence"
    evidence.mkdir()
    (evidence / "comparison.html").write_text("<!doctype html><title>v2</title>")
    hub.registry.attach_evidence(hub.name, 2, evidence)
    page = tmp_path / "page.html"
    compared = hub.run("compare", "--page", str(page))
    assert compared.exit_code == 0, compared.output
    assert page.read_text().startswith("<!doctype html>")
