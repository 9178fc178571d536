"""A site's keys: made once, replaced one at a time, and never more believed than the root says."""

from __future__ import annotations

import json
import stat
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from eucentric_core import ConfigurationError, TrustedKeys
from eucentric_core.releases import ReleaseTrust
from eucentric_model_registry import (
    KeyFolder,
    KeyRole,
    RegistryError,
    ReleaseBook,
    create_trust,
    load_signer,
    rotate_key,
)
from eucentric_model_registry._cli import keys_app
from eucentric_model_registry._metadata_store import Lifetimes, MetadataStore
from eucentric_transfer import PosixMover


@pytest.fixture
def keys(tmp_path: Path) -> KeyFolder:
    folder = tmp_path / "keys"
    return KeyFolder(folder / "signing-key.pem", folder / "trusted-keys.json", folder / "root.json")


@pytest.fixture
def releases(tmp_path: Path) -> Path:
    return tmp_path / "releases"


def believed(keys: KeyFolder, releases: Path, folder: Path) -> ReleaseTrust:
    """What a machine makes of the releases that was given the first root."""
    folder.mkdir(exist_ok=True)
    root = folder / "root.json"
    root.write_bytes((releases / "metadata" / "1.root.json").read_bytes())
    trust = ReleaseTrust(folder / "trust", root)
    assert trust.newest("atoms", PosixMover(releases)) is None
    return trust


def test_all_private_keys_are_for_their_owner_alone_and_none_lies_among_the_releases(
    keys: KeyFolder, releases: Path, tmp_path: Path
) -> None:
    create_trust(keys, releases, root_keys=3, root_threshold=2, signing_keys=2)
    private = sorted(keys.folder.glob("*.pem"))
    assert [path.name for path in private] == [
        "online-key.pem", "root-key-1.pem", "root-key-2.pem", "root-key-3.pem",
        "signing-key-2.pem", "signing-key.pem",
    ]  # fmt: skip
    assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}
    assert not any(b"PRIVATE" in path.read_bytes() for path in releases.rglob("*") if path.is_file())
    assert believed(keys, releases, tmp_path / "edge").view.root_version == 1


def test_a_signing_key_of_before_becomes_the_key_of_releases(keys: KeyFolder, releases: Path) -> None:
    keys.folder.mkdir()
    from eucentric_model_registry import generate_keys

    trusted = generate_keys(keys.signing, keys.trusted)
    create_trust(keys, releases)
    root = MetadataStore(releases / "metadata").root().signed
    assert root.roles["targets"].keyids == list(trusted.keys)
    assert TrustedKeys.read(keys.trusted) == trusted


@pytest.mark.parametrize(
    "numbers",
    [
        {"root_keys": 2, "root_threshold": 3},
        {"root_threshold": 0},
        {"signing_keys": 1, "signing_threshold": 2},
    ],
)
def test_thresholds_that_cannot_be_met_are_refused(
    keys: KeyFolder, releases: Path, numbers: dict[str, Any]
) -> None:
    with pytest.raises(ConfigurationError, match="cannot be asked for"):
        create_trust(keys, releases, **numbers)
    assert not keys.folder.exists()


@pytest.mark.parametrize("role", ["online", "signing", "root"])
def test_a_rotation_replaces_one_key_and_everybody_follows(
    keys: KeyFolder, releases: Path, tmp_path: Path, role: KeyRole
) -> None:
    create_trust(keys, releases)
    trust = believed(keys, releases, tmp_path / "edge")
    (replaced,) = keys.files_of(role)
    old = load_signer(replaced).public_key.keyid
    assert rotate_key(keys, releases, role) == 2
    new = load_signer(replaced).public_key.keyid
    assert new != old
    (former,) = (replaced.parent / "former").iterdir()
    assert load_signer(former).public_key.keyid == old
    assert trust.newest("atoms", PosixMover(releases)) is None
    assert trust.view.root_version == 2
    assert keys.root.read_bytes() == (releases / "metadata" / "2.root.json").read_bytes()


@pytest.mark.parametrize(("compromised", "counts"), [(False, True), (True, False)])
def test_bundles_of_a_key_that_was_replaced_count_unless_it_was_stolen(
    keys: KeyFolder, releases: Path, compromised: bool, counts: bool
) -> None:
    create_trust(keys, releases)
    old = load_signer(keys.signing).public_key.keyid
    rotate_key(keys, releases, "signing", compromised=compromised)
    trusted = TrustedKeys.read(keys.trusted)
    assert (old in trusted.keys) is counts
    assert load_signer(keys.signing).public_key.keyid in trusted.keys


def test_root_keys_that_are_locked_away_are_named_when_they_are_needed(
    keys: KeyFolder, releases: Path, tmp_path: Path
) -> None:
    away = tmp_path / "stick"
    create_trust(keys, releases, root_folder=away, root_keys=3, root_threshold=2)
    before = sorted(path.name for path in (releases / "metadata").iterdir())
    for too_few in ([], [away / "root-key-1.pem"]):
        with pytest.raises(RegistryError, match=r"wants 2 signature\(s\) for root"):
            rotate_key(keys, releases, "online", root_files=too_few)
    assert sorted(path.name for path in (releases / "metadata").iterdir()) == before
    assert not (keys.folder / "former").exists()
    assert rotate_key(keys, releases, "online", root_files=sorted(away.glob("*.pem"))[1:]) == 2
    trust = believed(keys, releases, tmp_path / "edge")
    # One of three root keys is lost: the other two and a new one go on.
    assert rotate_key(keys, releases, "root", root_files=sorted(away.glob("*.pem"))[:2]) == 3
    trust.newest("atoms", PosixMover(releases))
    assert trust.view.root_version == 3


def test_a_rotation_that_was_interrupted_is_completed_and_loses_no_key(
    keys: KeyFolder, releases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_trust(keys, releases)
    trust = believed(keys, releases, tmp_path / "edge")

    def pull_the_plug(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("eucentric_model_registry._key_ceremony._replace_file", pull_the_plug)
        with pytest.raises(KeyboardInterrupt):
            rotate_key(keys, releases, "online")
    assert rotate_key(keys, releases, "online") == 2
    assert not (keys.folder / ".online-key.pem.new").exists()
    trust.newest("atoms", PosixMover(releases))
    assert trust.view.root_version == 2


def test_a_passphrase_locks_what_people_sign_with(
    keys: KeyFolder, releases: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_trust(keys, releases, passphrase="correct horse")  # noqa: S106
    with pytest.raises(ConfigurationError, match="locked by a passphrase"):
        load_signer(keys.signing)
    with pytest.raises(ConfigurationError, match="does not open"):
        load_signer(keys.signing, passphrase="wrong")  # noqa: S106
    load_signer(keys.online)
    book = ReleaseBook(releases, keys, lifetimes=Lifetimes(timestamp=timedelta(days=1)))
    assert book.refresh().renewed == ()
    with pytest.raises(ConfigurationError, match="locked by a passphrase"):
        book.sign_anew()
    monkeypatch.setenv("EUCENTRIC_KEY_PASSPHRASE", "correct horse")
    book.sign_anew()
    assert load_signer(keys.signing).public_key.keyid in TrustedKeys.read(keys.trusted).keys


def test_a_timestamp_is_renewed_without_a_person_and_a_person_is_asked_in_time(
    keys: KeyFolder, releases: Path
) -> None:
    create_trust(keys, releases)
    # Half of its life over: as if it had been signed with half the life.
    short = ReleaseBook(releases, keys, lifetimes=Lifetimes(timestamp=timedelta(days=100)))
    assert short.refresh().renewed == ("snapshot", "timestamp")
    long = ReleaseBook(releases, keys, lifetimes=Lifetimes(root=timedelta(days=7300)))
    assert "rotate root" in long.refresh().warnings[0]
    keys.signing.rename(keys.folder / "away.pem")
    waiting = ReleaseBook(releases, keys, lifetimes=Lifetimes(targets=timedelta(days=3650)))
    said = waiting.refresh()
    assert "0 of its keys are at hand" in said.warnings[0]
    # That releases run out in a year is no reason to let the timestamp run out in two weeks.
    stale = ReleaseBook(
        releases, keys, lifetimes=Lifetimes(targets=timedelta(days=3650), timestamp=timedelta(days=1000))
    )
    assert stale.refresh().renewed == ("snapshot", "timestamp")


def test_an_operator_makes_rotates_renews_and_sees_keys(tmp_path: Path) -> None:
    config = tmp_path / "eucentric.toml"
    config.write_text(f'home = "{tmp_path / "home"}"\n')
    run = CliRunner().invoke
    made = run(
        keys_app, ["init", "--config", str(config), "--json", "--root-keys", "2", "--root-threshold", "2"]
    )
    assert made.exit_code == 0, made.output
    roles = json.loads(made.output)["roles"]
    assert (roles["root"]["threshold"], len(roles["root"]["key_ids"])) == (2, 2)
    rotated = run(keys_app, ["rotate", "signing", "--compromised", "--config", str(config), "--json"])
    assert rotated.exit_code == 0, rotated.output
    assert json.loads(rotated.output)["roles"]["signing"] != roles["signing"]
    shown = run(keys_app, ["show", "--config", str(config)])
    for words in ("2 of 2", "root version  2", "move the root keys", "root.json"):
        assert words in shown.output
    renewed = run(keys_app, ["refresh", "--config", str(config)])
    assert "all is fresh" in renewed.output
    refused = run(keys_app, ["rotate", "timestamp", "--config", str(config)])
    assert refused.exit_code == 2
    assert "name root, signing or online" in refused.stderr


def test_nothing_is_renewed_where_no_root_was_made(tmp_path: Path) -> None:
    config = tmp_path / "eucentric.toml"
    config.write_text(f'home = "{tmp_path / "home"}"\n')
    refused = CliRunner().invoke(keys_app, ["refresh", "--config", str(config)])
    assert refused.exit_code == 2
    assert "eucentric keys init" in refused.stderr
