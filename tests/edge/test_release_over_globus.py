"""Releases through Globus (emulated): an edge installs, waits out an outage and catches up."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from eucentric_core import EucentricError

from ..transfer.globus_site import Site, globus_far_end  # noqa: F401 - fixtures
from .bundle_maker import BundleMaker
from .test_releases import Edge, Hub

pytestmark = pytest.mark.slow


def test_releases_arrive_over_globus_and_an_outage_is_caught_up_with(
    tmp_path: Path,
    bundles: BundleMaker,
    globus_far_end: Site,  # noqa: F811 - the fixture
) -> None:
    hub = Hub(tmp_path / "hub", bundles)

    def publish(version: int) -> None:
        hub.release(version)
        shutil.copytree(hub.folder, globus_far_end.root, dirs_exist_ok=True)

    publish(1)
    edge = Edge(tmp_path / "edge", hub, globus_far_end.open())
    edge.watch.look()
    assert edge.version == 1
    with globus_far_end.suffering("gone"):
        with pytest.raises(EucentricError):
            edge.watch.look()
        assert edge.version == 1
        publish(2)
        publish(3)
    edge.watch.look()
    assert edge.version == 3
    assert [each.version for each in edge.installed] == [1, 3]
