"""A network of namespaces for the tests of this folder; they skip with the reason where there can be none."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from _netlab import LabUnavailableError, NetworkLab, require_lab  # noqa: E402


@pytest.fixture(scope="package")
def lab() -> Iterator[NetworkLab]:
    """The network; each test says what its uplink is like."""
    try:
        require_lab()
    except LabUnavailableError as error:
        pytest.skip(f"no network lab: {error}")
    with NetworkLab() as network:
        yield network
