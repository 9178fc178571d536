"""Chains of real services, started quickly."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .chain import ForkServer


@pytest.fixture(scope="package")
def forks() -> Iterator[ForkServer]:
    """Starts services of the data path in processes of their own."""
    server = ForkServer()
    yield server
    server.close()
