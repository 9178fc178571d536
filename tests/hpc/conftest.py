"""Clusters and services that the executors run on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from eucentric_core import GlobusSettings

from ..servers.globus import GlobusEmulator
from ..servers.slurm import Slurm, running_slurm
from .third_party_package import someone_elses_package, someone_elses_site  # noqa: F401 - fixtures


@pytest.fixture(scope="package")
def slurm() -> Iterator[Slurm]:
    """A cluster of two virtual nodes, whose commands this process may use."""
    with running_slurm() as cluster, pytest.MonkeyPatch.context() as environment:
        for name, value in cluster.environment.items():
            environment.setenv(name, value)
        yield cluster


@pytest.fixture(scope="module")
def compute_endpoint(
    globus_emulator: GlobusEmulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, GlobusSettings]]:
    """A Globus Compute endpoint with two workers behind a played service: its site file, and who we are."""
    from ..servers.globus_compute import running_compute

    with running_compute(globus_emulator, tmp_path_factory.mktemp("endpoint")) as found:
        yield found
