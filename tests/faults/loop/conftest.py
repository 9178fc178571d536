"""One site for all faults of the loop that need no other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ...loop_site import LoopSite, loop_site


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopSite]:
    with loop_site(tmp_path_factory.mktemp("loop")) as opened:
        yield opened
