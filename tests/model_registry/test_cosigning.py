"""Two people sign: one key alone releases nothing, and the second never leaves its owner's machine."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from eucentric_core import BundleManifest, ConfigurationError, ReleaseRefusedError, TrustedKeys, verify_bundle
from eucentric_core.releases import Release, ReleaseTrust, verify_released_bundle
from eucentric_core.transport import find_free_port
from eucentric_model_registry import (
    KeyFolder,
    RegistryError,
    ReleaseBook,
    SignaturesMissingError,
    build_and_sign_bundle,
    create_trust,
    load_signer,
    rotate_key,
)
from eucentric_model_registry._cli import keys_app
from eucentric_model_registry._cosigning import Taken, add_key, make_personal_key, take_signature
from eucentric_model_registry._signing_request import SigningRequest
from eucentric_transfer import PosixMover

from .contents import make_content
from .edge_door import serving_door
from .hub import Hub


class Person:
    """Somebody with a key, at a machine of their own: knows neither settings nor hub."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.key = folder / "person.pem"
        self.public = make_personal_key(self.key)
        self._folder = folder

    def sign(self, request: Path) -> SigningRequest:
        """Take the file home, sign it, bring it back."""
        brought = self._folder / f"{uuid4().hex}.json"
        shutil.copy(request, brought)
        return SigningRequest.read(brought).signed_by([load_signer(self.key)])


class Site:
    """A hub without MLflow, and an edge that was given its first root."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        keys = folder / "keys"
        self.keys = KeyFolder(keys / "signing-key.pem", keys / "trusted-keys.json", keys / "root.json")
        self.releases = folder / "releases"
        create_trust(self.keys, self.releases)
        root = folder / "root-of-the-edge.json"
        shutil.copy(self.keys.root, root)
        self.trust = ReleaseTrust(folder / "trust", root)

    def request(self, role: str) -> Path:
        """What waits for signatures."""
        return self.keys.waiting / f"{role}.request.json"

    def build(self, version: int) -> tuple[Path, BundleManifest]:
        """A bundle that the hub's key signed; made once."""
        folder = self.folder / f"bundle-{version}"
        if not folder.exists():
            content = make_content(name="atoms", version=version, trigger_id=f"t{version}")
            build_and_sign_bundle(folder, content, load_signer(self.keys.signing))
        trusted = TrustedKeys.read(self.keys.trusted)
        return folder, verify_bundle(folder, trusted, expected_name="atoms", newer_than=None)

    def publish(self, version: int) -> Release:
        """Release a version."""
        folder, manifest = self.build(version)
        book = ReleaseBook(self.releases, self.keys)
        return book.publish(folder, manifest, reason="better", who="alice")

    def take(self, answer: SigningRequest) -> Taken:
        """Import what came back."""
        return take_signature(self.keys, self.releases, answer)

    def newest(self) -> Release | None:
        """What an edge believes now."""
        return self.trust.newest("atoms", PosixMover(self.releases))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "site")


@pytest.fixture
def bob(tmp_path: Path) -> Person:
    return Person(tmp_path / "bob")


@pytest.fixture
def two(site: Site, bob: Person) -> Site:
    """A site where Bob has to sign what is released, too."""
    with pytest.raises(SignaturesMissingError, match=r"wants 2 signature\(s\) for targets, 1"):
        add_key(site.keys, site.releases, "signing", bob.public, threshold=2)
    assert site.take(bob.sign(site.request("targets"))).in_force
    assert site.newest() is None
    assert site.trust.view.root_version == 2
    return site


def test_one_signature_releases_nothing_and_two_do(two: Site, bob: Person) -> None:
    with pytest.raises(SignaturesMissingError) as asked:
        two.publish(1)
    assert str(two.request("targets")) in asked.value.next_step
    assert two.newest() is None
    taken = two.take(bob.sign(two.request("targets")))
    assert (taken.in_force, [release.bundle_version for release in taken.releases]) == (True, [1])
    release = two.newest()
    assert release is not None
    bundle = two.releases / "bundles" / "atoms" / "v000001"
    assert verify_released_bundle(bundle, release).version == 1
    # Asked again, the release is there.
    assert two.publish(1) == release
    assert not two.request("targets").exists()


def test_one_signature_put_in_force_by_force_is_refused_at_the_edge(two: Site, bob: Person) -> None:
    """The hub's keys are stolen: the thief writes metadata as a careless repository would."""
    with pytest.raises(SignaturesMissingError):
        two.publish(1)
    stolen = SigningRequest.read(two.request("targets")).opened()
    from eucentric_model_registry._metadata_store import MetadataStore, _pinned, _sign

    store = MetadataStore(two.releases / "metadata")
    state = store.state()
    online = [load_signer(two.keys.online)]
    state.snapshot.signed.meta["targets.json"] = _pinned(stolen)
    state.snapshot.signed.version += 1
    _sign(state.snapshot, online)
    state.timestamp.signed.snapshot_meta = _pinned(state.snapshot)
    state.timestamp.signed.version += 1
    _sign(state.timestamp, online)
    store._write(f"{stolen.signed.version}.targets.json", stolen)
    store._write(f"{state.snapshot.signed.version}.snapshot.json", state.snapshot)
    store._write("timestamp.json", state.timestamp)
    with pytest.raises(ReleaseRefusedError, match="not signed by enough of the trusted keys"):
        two.newest()


def test_a_key_that_does_not_count_and_a_signature_that_does_not_fit_are_refused(
    two: Site, bob: Person, tmp_path: Path
) -> None:
    with pytest.raises(SignaturesMissingError):
        two.publish(1)
    with pytest.raises(RegistryError, match="does not count for targets"):
        two.take(Person(tmp_path / "mallory").sign(two.request("targets")))
    answer = bob.sign(two.request("targets"))
    metadata = json.loads(answer.metadata)
    for entry in metadata["signatures"]:
        entry["sig"] = entry["sig"][:-2] + ("00" if entry["sig"][-2:] != "00" else "11")
    with pytest.raises(RegistryError, match="does not fit"):
        two.take(answer.model_copy(update={"metadata": json.dumps(metadata)}))
    with pytest.raises(RegistryError, match="no signature that is not here"):
        two.take(SigningRequest.read(two.request("targets")))
    assert two.newest() is None
    assert two.take(answer).in_force


def test_a_signature_over_other_content_counts_for_nothing(two: Site, bob: Person) -> None:
    with pytest.raises(SignaturesMissingError):
        two.publish(1)
    first = bob.sign(two.request("targets"))
    with pytest.raises(SignaturesMissingError):
        two.publish(2)
    with pytest.raises(RegistryError, match="other content"):
        two.take(first)
    assert two.newest() is None
    two.take(bob.sign(two.request("targets")))
    release = two.newest()
    assert release is not None
    assert release.bundle_version == 2


def test_a_signature_that_comes_after_something_else_was_released_is_refused(two: Site, bob: Person) -> None:
    with pytest.raises(SignaturesMissingError):
        two.publish(1)
    late = two.request("targets").read_bytes()
    answer = bob.sign(two.request("targets"))
    two.take(answer)
    # As if the file had been restored from a backup.
    two.request("targets").write_bytes(late)
    with pytest.raises(RegistryError, match="Other metadata were put in force"):
        two.take(answer)


def test_a_repeated_request_keeps_the_signatures_it_has(site: Site, tmp_path: Path) -> None:
    people = [Person(tmp_path / name) for name in ("bob", "carol")]
    for threshold, person in enumerate(people, start=2):
        with pytest.raises(SignaturesMissingError):
            add_key(site.keys, site.releases, "signing", person.public, threshold=threshold)
        for each in people[: threshold - 1]:
            site.take(each.sign(site.request("targets")))
    with pytest.raises(SignaturesMissingError):
        site.publish(1)
    assert not site.take(people[0].sign(site.request("targets"))).in_force
    with pytest.raises(SignaturesMissingError, match="waits for signatures"):
        site.publish(1)
    assert site.take(people[1].sign(site.request("targets"))).in_force


def test_a_root_key_on_another_machine_signs_every_new_root(site: Site, bob: Person) -> None:
    with pytest.raises(SignaturesMissingError, match="for root, 1"):
        add_key(site.keys, site.releases, "root", bob.public, threshold=2)
    assert site.newest() is None
    assert site.trust.view.root_version == 1
    assert site.take(bob.sign(site.request("root"))).in_force
    site.newest()
    assert site.trust.view.root_version == 2
    old = load_signer(site.keys.signing).public_key.keyid
    for _ in range(2):
        with pytest.raises(SignaturesMissingError, match="for root, 1"):
            rotate_key(site.keys, site.releases, "signing")
    assert load_signer(site.keys.signing).public_key.keyid == old
    taken = site.take(bob.sign(site.request("root")))
    assert (taken.in_force, "keys rotate signing" in taken.to_do) == (True, True)
    assert rotate_key(site.keys, site.releases, "signing") == 3
    assert load_signer(site.keys.signing).public_key.keyid != old
    site.publish(1)
    release = site.newest()
    assert release is not None
    assert site.trust.view.root_version == 3


def test_who_signs_reads_what_is_signed_and_nothing_else(two: Site, bob: Person) -> None:
    with pytest.raises(SignaturesMissingError):
        two.publish(1)
    request = SigningRequest.read(two.request("targets"))
    said = "\n".join(request.described())
    assert "release 1, atoms version 1" in said
    assert "alice: better" in said
    changed = json.loads(request.documents["atoms.release.json"]) | {"reason": "harmless"}
    forged = request.model_copy(update={"documents": {"atoms.release.json": json.dumps(changed)}})
    with pytest.raises(RegistryError, match="not what would be signed"):
        forged.described()
    assert any(line.startswith("root: 1 of") for line in SigningRequest.of(two_root(two)).described())


def two_root(site: Site) -> Any:
    from eucentric_model_registry._metadata_store import MetadataStore

    return MetadataStore(site.releases / "metadata").root()


def test_what_cannot_be_met_is_not_asked_for(site: Site, bob: Person, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="3 of 2 keys"):
        add_key(site.keys, site.releases, "signing", bob.public, threshold=3)
    with pytest.raises(ConfigurationError, match="signs without a person"):
        add_key(site.keys, site.releases, "online", bob.public, threshold=1)
    with pytest.raises(RegistryError, match="No root waits"):
        site.take(SigningRequest.of(two_root(site)))
    nothing = tmp_path / "nothing.json"
    nothing.write_text("{}")
    with pytest.raises(RegistryError, match="no request for a signature"):
        SigningRequest.read(nothing)
    assert not site.keys.waiting.exists()


def test_expiring_releases_are_not_renewed_over_a_persons_head(two: Site) -> None:
    from datetime import timedelta

    from eucentric_model_registry._metadata_store import Lifetimes

    book = ReleaseBook(two.releases, two.keys, lifetimes=Lifetimes(targets=timedelta(days=3650)))
    (warning,) = book.refresh().warnings
    assert "keys sign" in warning
    request = two.request("targets").read_bytes()
    book.refresh()
    assert two.request("targets").read_bytes() == request


@pytest.mark.slow
def test_two_people_promote_a_model_by_commands(
    tmp_path: Path, mlflow_url: str, name: str, bob: Person
) -> None:
    with serving_door(find_free_port()) as door:
        hub = Hub(tmp_path, mlflow_url, name, door.port)
        config = ["--config", str(hub.config)]

        def run(*words: str) -> Any:
            return CliRunner().invoke(keys_app, list(words))

        made = run("new", str(tmp_path / "carol.pem"))
        assert "stays with you" in made.output
        asked = run("add", "signing", str(bob.public), "--threshold", "2", *config)
        assert asked.exit_code == 0, asked.output
        assert "waits for signatures" in asked.output
        waiting = hub.keys.waiting / "targets.request.json"
        assert str(waiting) in run("show", *config).output.replace("\n", "")
        answer = tmp_path / "answer.json"
        assert run("sign", str(waiting), "--key", str(bob.key), "--to", str(answer), "--yes").exit_code == 0
        assert "in force      targets" in run("import-signature", str(answer), *config).output

        bundle = hub.register(1)
        promoted = hub.run("promote", "v1", "--reason", "first")
        assert promoted.exit_code == 2
        assert "import-signature" in promoted.stderr
        assert (hub.aliases, hub.released) == ({}, None)
        declined = CliRunner().invoke(keys_app, ["sign", str(waiting), "--key", str(bob.key)], input="n\n")
        assert declined.exit_code == 2
        other = hub.register(2)
        wrong = run("sign", str(waiting), "--key", str(bob.key), "--bundle", str(other), "--yes")
        assert "not what this request releases" in wrong.stderr
        signed = run(
            "sign", str(waiting), "--key", str(bob.key), "--bundle", str(bundle), "--to", str(answer), "--yes"
        )
        assert signed.exit_code == 0, signed.output
        door.serves = 1
        done = run("import-signature", str(answer), *config)
        assert done.exit_code == 0, done.output
        assert f"champion      {name} v1, release 1" in done.output
        assert "serving at edge-1" in done.output
        assert (hub.aliases, hub.released) == ({"champion": 1}, (1, 1))

        # At night nobody else is there to sign: the edge goes back at once, the release waits.
        assert hub.run("promote", "v2", "--reason", "second").exit_code == 2
        run("sign", str(waiting), "--key", str(bob.key), "--to", str(answer), "--yes")
        assert run("import-signature", str(answer), *config).exit_code == 0
        door.serves, door.previous = 2, 1
        back = hub.run("rollback", "--reason", "misses dopants")
        said = " ".join(back.stderr.split())
        assert (back.exit_code, door.serves, hub.aliases["champion"]) == (2, 1, 2)
        assert "went back from v2 and serves v1" in said
        assert "import-signature" in said
