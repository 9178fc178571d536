"""A site to look at, with nothing running on it yet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from eucentric_dashboard import LiveHub

from .browser import chromium, running_site, site_with_edge, tab  # noqa: F401 - fixtures
from .stand_in import Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Addresses of an agent and an edge; the test starts them."""
    made = Site(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def hub(site: Site) -> Iterator[LiveHub]:
    """A hub that follows the site."""
    following = LiveHub(site.settings)
    following.start()
    yield following
    following.close()
