"""An edge that goes by signed releases: forward, back, through outages, and never astray."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import pytest

from eucentric_core import (
    BundleError,
    EucentricError,
    OutOfSpaceError,
    ReleaseExpiredError,
    ReleaseRefusedError,
    ReleaseUnreachableError,
    verify_bundle,
)
from eucentric_core.releases import ReleaseSource, ReleaseTrust
from eucentric_edge import HereOpener, Installation, Installer, KeyTrust, ModelSlot, ReleasedTrust
from eucentric_edge._installed_state import InstalledState
from eucentric_edge._release_watch import ReleaseWatch
from eucentric_model_registry import KeyFolder, ReleaseBook, create_trust, rotate_key
from eucentric_model_registry._metadata_store import Lifetimes
from eucentric_transfer import PosixMover

from .bundle_maker import BundleMaker


class Hub:
    """A site's keys and releases."""

    def __init__(self, folder: Path, bundles: BundleMaker, **lifetimes: timedelta) -> None:
        self.folder = folder / "releases"
        self.keys = KeyFolder(
            folder / "keys" / "signing-key.pem",
            folder / "keys" / "trusted-keys.json",
            folder / "keys" / "root.json",
        )
        self._bundles = bundles
        self._lifetimes = Lifetimes(**lifetimes)
        create_trust(self.keys, self.folder, lifetimes=self._lifetimes)

    def release(self, version: int, *, reason: str = "better") -> Path:
        """Release a bundle whose weights come from the seed `version`."""
        folder = self._bundles.make(version)
        manifest = verify_bundle(folder, self._bundles.trusted, expected_name="atoms", newer_than=None)
        self.book.publish(folder, manifest, reason=reason, who="test")
        return folder

    @property
    def book(self) -> ReleaseBook:
        """What publishes."""
        return ReleaseBook(self.folder, self.keys, lifetimes=self._lifetimes)


class Site(Protocol):
    """What an edge needs of a hub."""

    keys: KeyFolder

    @property
    def folder(self) -> Path:
        """Where releases are published."""


class Edge:
    """An edge that was given the root of a hub."""

    def __init__(
        self, folder: Path, hub: Site, source: ReleaseSource | None = None, *, model: str = "atoms"
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.root = folder / "root.json"
        if not self.root.exists():
            shutil.copy(hub.keys.root, self.root)
        self.slot = ModelSlot()
        self.metadata = ReleaseTrust(folder / "trust", self.root)
        self.source = source or PosixMover(hub.folder)
        self.trust = ReleasedTrust(self.metadata, self.source, keys=None)
        self.installer = Installer(
            folder / "edge", self.trust, model_name=model, slot=self.slot, opener=HereOpener("cpu")
        )
        self.refusals = self.installer.start()
        self.installed: list[Installation] = []
        self.alarms: list[EucentricError] = []
        self.watch = ReleaseWatch(
            self.trust,
            self.metadata,
            self.source,
            self.installer,
            folder=folder / "fetched",
            frame_shape=lambda: None,
            installed=self.installed.append,
            refused=self.alarms.append,
        )

    @property
    def version(self) -> int | None:
        """The version that serves."""
        return None if self.slot.model is None else self.slot.model.manifest.version

    def install(self, folder: Path) -> None:
        """Be handed a bundle."""
        self.installer.install(folder, frame_shape=None)


@pytest.fixture
def hub(tmp_path: Path, bundles: BundleMaker) -> Hub:
    return Hub(tmp_path / "hub", bundles)


@pytest.fixture
def edge(tmp_path: Path, hub: Hub) -> Edge:
    return Edge(tmp_path / "site", hub)


def test_what_is_released_is_installed_and_a_restart_serves_it_without_asking(
    hub: Hub, edge: Edge, tmp_path: Path
) -> None:
    edge.install(hub.release(1))
    edge.install(hub.release(2))
    assert (edge.version, edge.installer.state.previous, edge.installer.state.rank) == (2, 1, (1, 2))
    shutil.rmtree(hub.folder)
    again = Edge(tmp_path / "site", hub)
    assert (again.version, again.refusals) == (2, ())


def test_another_content_under_the_number_in_service_is_taken_when_it_is_released(
    hub: Hub, edge: Edge, bundles: BundleMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge.install(hub.release(1))
    edge.install(hub.release(2))
    other = bundles.make(2, members=bundles.members(7))
    manifest = verify_bundle(other, bundles.trusted, expected_name="atoms", newer_than=None)
    hub.book.publish(other, manifest, reason="the one in service is not ours", who="test")

    def full(state: InstalledState, path: Path) -> None:
        raise OutOfSpaceError("full", safe="nothing was lost.", next_step="free some space.")

    with monkeypatch.context() as broken:
        broken.setattr(InstalledState, "write", full)
        with pytest.raises(OutOfSpaceError):
            edge.install(other)
    # Nothing of the old one was touched before the state said so, and what was left is removed.
    again = Edge(tmp_path / "site", hub)
    assert (again.version, again.refusals) == (2, ())
    assert again.slot.model is not None
    before = again.slot.model.manifest.files
    again.install(other)
    for served in (again, Edge(tmp_path / "site", hub)):
        assert served.slot.model is not None
        assert served.slot.model.manifest.files == manifest.files != before
        assert served.installer.state.previous == 1
    assert len(list((tmp_path / "site" / "edge" / "models").iterdir())) == 2
    hub.release(3)
    again.watch.look()
    assert (again.version, again.installer.state.previous) == (3, 2)
    again.installer.rollback(frame_shape=None)
    assert again.slot.model.manifest.files == manifest.files


def test_a_signed_rollback_is_a_higher_release_of_an_older_version(hub: Hub, edge: Edge) -> None:
    old = hub.release(1)
    edge.install(old)
    edge.install(hub.release(2))
    with pytest.raises(BundleError, match="not the one that the newest release names"):
        edge.install(old)
    hub.release(1, reason="version 2 misses dopants")
    release = hub.book.current("atoms")
    assert release is not None
    assert (release.is_rollback, release.replaces) == (True, 2)
    edge.watch.look()
    assert (edge.version, edge.installer.state.rank, edge.installer.state.highest) == (1, (1, 3), 2)
    edge.install(hub.release(3))
    assert edge.version == 3


def test_a_bundle_that_no_release_names_is_refused_whoever_signed_it(
    hub: Hub, edge: Edge, bundles: BundleMaker
) -> None:
    with pytest.raises(ReleaseRefusedError, match="No release of model 'atoms'"):
        edge.install(bundles.make(1))
    edge.install(hub.release(1))
    with pytest.raises(BundleError, match="not the one that the newest release names"):
        edge.install(bundles.make(2))
    assert edge.version == 1


def test_an_edge_fetches_by_itself_and_catches_up_after_an_outage(
    hub: Hub, edge: Edge, tmp_path: Path
) -> None:
    hub.release(1)
    edge.watch.look()
    away = tmp_path / "away"
    hub.folder.rename(away)
    for _ in range(3):
        with pytest.raises(ReleaseUnreachableError):
            edge.watch.look()
    assert edge.trust.report()["state"] == "stale"
    assert (edge.version, edge.alarms) == (1, [])
    away.rename(hub.folder)
    for version in (2, 3, 4):
        hub.release(version)
    edge.watch.look()
    assert edge.watch.look() is None
    assert [installation.version for installation in edge.installed] == [1, 4]
    assert edge.trust.report()["state"] == "fresh"


def test_to_hear_twice_of_a_release_installs_it_once(hub: Hub, edge: Edge) -> None:
    folder = hub.release(1)
    edge.watch.look()
    edge.install(folder)
    assert edge.watch.look() is None
    assert len(edge.installed) == 1
    # A new release of the bundle in service is noted, not installed.
    hub.release(2)
    hub.release(1)
    edge.watch.look()
    assert (len(edge.installed), edge.installer.state.rank) == (1, (1, 3))


def test_a_bad_release_is_tried_once_and_announced_once(hub: Hub, edge: Edge) -> None:
    hub.release(1)
    edge.watch.look()
    assert edge.watch.trouble is None
    hub.release(2)
    weights = hub.folder / "bundles" / "atoms" / "v000002" / "member-0.safetensors"
    right = weights.read_bytes()
    weights.write_bytes(b"other weights")
    for _ in range(3):
        with pytest.raises(EucentricError, match="not"):
            edge.watch.look()
        assert edge.watch.trouble == edge.alarms[0].what
    assert edge.version == 1
    assert len(edge.alarms) == 1
    weights.write_bytes(right)
    edge.watch.look()
    assert (edge.version, edge.watch.trouble) == (2, None)


def test_expired_metadata_stop_installations_and_not_the_model(tmp_path: Path, bundles: BundleMaker) -> None:
    hub = Hub(tmp_path / "hub", bundles, timestamp=timedelta(days=2))
    edge = Edge(tmp_path / "site", hub)
    edge.install(hub.release(1))
    stale = Hub.__new__(Hub)
    stale.__dict__.update(hub.__dict__, _lifetimes=Lifetimes(timestamp=timedelta(seconds=-1)))
    folder = stale.release(2)
    with pytest.raises(ReleaseExpiredError, match="expired"):
        edge.install(folder)
    for _ in range(2):
        with pytest.raises(ReleaseExpiredError):
            edge.watch.look()
    assert edge.version == 1
    assert [alarm.code for alarm in edge.alarms] == ["release_expired"]
    assert Edge(tmp_path / "site", hub).version == 1
    hub.book.refresh()
    edge.install(folder)
    assert edge.version == 2


def test_an_edge_follows_every_rotation_and_a_thief_is_outrun(hub: Hub, edge: Edge) -> None:
    edge.install(hub.release(1))
    for role in ("online", "signing", "root"):
        rotate_key(hub.keys, hub.folder, role, compromised=True)
    edge.install(hub.release(2))
    assert (edge.version, edge.installer.state.rank) == (2, (4, 2))
    assert edge.metadata.view.root_version == 4


def test_being_cut_off_for_longer_than_a_timestamp_lives_is_an_alarm(
    tmp_path: Path, bundles: BundleMaker
) -> None:
    hub = Hub(tmp_path / "hub", bundles, timestamp=timedelta(days=2))
    edge = Edge(tmp_path / "site", hub)
    hub.release(1)
    edge.watch.look()
    # As if two days had passed since the last look.
    view = edge.metadata.view
    hub.folder.rename(tmp_path / "away")
    edge.metadata._verified_view = lambda: view.model_copy(update={"fresh_until_utc": view.looked_utc})  # type: ignore[method-assign]
    for _ in range(2):
        with pytest.raises(ReleaseUnreachableError):
            edge.watch.look()
    assert edge.trust.report()["state"] == "expired"
    assert "nothing is installed" in str(edge.trust.report()["sentence"])
    assert [alarm.code for alarm in edge.alarms] == ["release_expired"]
    assert edge.version == 1


def test_older_releases_shown_anew_are_refused(hub: Hub, edge: Edge, tmp_path: Path) -> None:
    hub.release(1)
    edge.watch.look()
    shutil.copytree(hub.folder, tmp_path / "old")
    hub.release(2)
    edge.watch.look()
    stale = Edge(tmp_path / "site", hub, PosixMover(tmp_path / "old"))
    with pytest.raises(ReleaseRefusedError, match="older than before"):
        stale.watch.look()
    assert (stale.version, len(stale.alarms)) == (2, 1)
    assert stale.trust.report()["state"] == "refused"


def test_an_edge_that_lost_its_metadata_still_accepts_nothing_older(
    hub: Hub, edge: Edge, tmp_path: Path
) -> None:
    hub.release(1)
    shutil.copytree(hub.folder, tmp_path / "old")
    hub.release(2)
    edge.watch.look()
    shutil.rmtree(tmp_path / "site" / "trust")
    forgetful = Edge(tmp_path / "site", hub, PosixMover(tmp_path / "old"))
    with pytest.raises(ReleaseRefusedError, match="below release 2"):
        forgetful.watch.look()
    assert forgetful.version == 2


def test_an_edge_that_lost_its_root_does_not_fall_back_on_keys(
    hub: Hub, edge: Edge, tmp_path: Path, bundles: BundleMaker
) -> None:
    edge.install(hub.release(1))
    slot = ModelSlot()
    installer = Installer(
        tmp_path / "site" / "edge",
        KeyTrust(bundles.trusted),
        model_name="atoms",
        slot=slot,
        opener=HereOpener("cpu"),
    )
    assert installer.start() == ()
    with pytest.raises(ReleaseRefusedError, match="without its root"):
        installer.install(bundles.make(2), frame_shape=None)
    assert slot.model is not None
    assert slot.model.manifest.version == 1


def test_an_edge_that_had_keys_alone_goes_on_with_releases(
    hub: Hub, tmp_path: Path, bundles: BundleMaker
) -> None:
    folder = tmp_path / "site"
    before = Installer(
        folder / "edge",
        KeyTrust(bundles.trusted),
        model_name="atoms",
        slot=ModelSlot(),
        opener=HereOpener("cpu"),
    )
    before.install(bundles.make(3), frame_shape=None)
    edge = Edge(folder, hub)
    assert "no keys are trusted" in edge.refusals[0].what
    edge.trust._keys = bundles.trusted
    assert edge.installer.start() == ()
    edge.install(hub.release(4))
    assert (edge.version, edge.installer.state.previous) == (4, 3)
    edge.installer.rollback(frame_shape=None)
    assert edge.version == 3


def test_one_step_back_at_the_edge_is_left_alone_until_the_next_release(hub: Hub, edge: Edge) -> None:
    for version in (1, 2):
        hub.release(version)
        edge.watch.look()
    edge.installer.rollback(frame_shape=None)
    assert edge.watch.look() is None
    assert edge.version == 1
    hub.release(3)
    edge.watch.look()
    assert edge.version == 3
