"""The cluster of a hub: made once by Debian's programs, whole or not at all, never over something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from eucentric.hub._folder import HubFolder
from eucentric.hub._postgres import ensure_cluster, find_programs
from eucentric_core import ConfigurationError, Settings, load_settings

from ..servers.postgres import find_postgres

pytestmark = pytest.mark.skipif(find_postgres() is None, reason="PostgreSQL is not installed")


@pytest.fixture
def settings(folder: Path) -> Settings:
    (folder / "home").mkdir()
    return load_settings(flags={"home": str(folder / "home")}, environment={})


def test_a_cluster_is_made_once_and_never_over_something_else(settings: Settings) -> None:
    folder = HubFolder(settings.home)
    # What an interrupted start left behind.
    (folder.postgres / "data.part").mkdir(parents=True)
    (folder.postgres / "data.part" / "PG_VERSION").write_text("15\n")
    ensure_cluster(settings, folder, "word-of-the-owner")
    assert [path.name for path in folder.postgres.iterdir()] == ["data"]
    made = (folder.postgres_data / "global" / "pg_control").read_bytes()
    ensure_cluster(settings, folder, "another word")
    assert (folder.postgres_data / "global" / "pg_control").read_bytes() == made
    (folder.postgres_data / "PG_VERSION").unlink()
    with pytest.raises(ConfigurationError, match="holds something, but no database"):
        ensure_cluster(settings, folder, "word-of-the-owner")
    assert (folder.postgres_data / "global" / "pg_control").read_bytes() == made


def test_data_of_a_version_that_is_not_installed_are_refused(tmp_path: Path) -> None:
    (tmp_path / "PG_VERSION").write_text("9.1\n")
    with pytest.raises(ConfigurationError, match=r"PostgreSQL 9\.1 is not installed"):
        find_programs(tmp_path)
