"""Far ends of every kind, each new and empty for a test."""

from __future__ import annotations

from pathlib import Path

import pytest

from eucentric_transfer import Mover

from .far_ends import FAR_ENDS, FarEnd, Folder
from .globus_site import globus_far_end  # noqa: F401 - fixtures
from .s3_far_end import s3_far_end  # noqa: F401 - fixtures


@pytest.fixture
def posix_far_end(tmp_path: Path) -> Folder:
    root = tmp_path / "far"
    root.mkdir()
    return Folder(root)


@pytest.fixture(params=FAR_ENDS)
def far_end(request: pytest.FixtureRequest) -> FarEnd:
    """An empty far end of each kind in turn."""
    found = request.getfixturevalue(f"{request.param}_far_end")
    assert isinstance(found, FarEnd)
    return found


@pytest.fixture
def mover(far_end: FarEnd) -> Mover:
    """A mover to an empty far end of each kind in turn."""
    return far_end.open()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file of 2.3 MB to send."""
    path = tmp_path / "source.h5"
    path.write_bytes(bytes(range(256)) * 9000)
    return path
