"""An empty folder where the root should be mounted never becomes a repository that gives receipts."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from eucentric_core import ConfigurationError, ManagedProcess, ServiceUnavailableError, Settings
from eucentric_core.transport import PyroControlClient, find_free_port
from eucentric_data_repository import Database, Registrar, RepositoryFolders, require_root
from eucentric_data_repository._root_marker import claim_root
from eucentric_data_repository._root_record import claim_repository

from ..servers.postgres import Postgres
from .conftest import password_beside
from .test_service import COMMAND, WAIT_S, run


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def database(repository_folders: Any) -> Database:
    """The root's files are the same with each kind of database."""
    return Database.at(repository_folders.database)


def claim(root: Path, home: Path, *, is_default: bool = False, new_root: bool = False) -> str:
    return claim_root(root, home, is_default=is_default, new_root=new_root)


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_root_is_made_once_and_known_again(tmp_path: Path, home: Path) -> None:
    root = tmp_path / "root"
    first = claim(root, home)
    assert claim(root, home) == first
    assert claim(root, tmp_path / "another home") == first
    require_root(root, first)


def test_a_root_of_an_earlier_version_is_adopted(repository: Any, home: Path) -> None:
    root = repository.folders.root
    repository.ingest()
    assert repository.folders.database.is_file()
    require_root(root)
    require_root(root, claim(root, home))


def test_a_root_that_is_not_mounted_is_refused_and_nothing_is_made(tmp_path: Path, home: Path) -> None:
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    first = claim(root, home)
    root.rename(elsewhere)
    with pytest.raises(ConfigurationError, match="not there now") as refused:
        claim(root, home)
    assert "mounted?" in refused.value.next_step
    assert "--new-root" in refused.value.next_step
    assert not root.exists()
    root.mkdir()
    with pytest.raises(ConfigurationError, match="not there now"):
        claim(root, home)
    assert listing(root) == []
    another = claim(root, tmp_path / "another home")
    with pytest.raises(ConfigurationError, match="another one"):
        claim(root, home)
    assert claim(root, home, new_root=True) == another != first
    assert claim(root, home) == another


def test_folders_above_a_root_are_made_only_when_told(tmp_path: Path, home: Path) -> None:
    root = tmp_path / "not mounted" / "root"
    with pytest.raises(ConfigurationError, match="the folder it would be in"):
        claim(root, home)
    assert not root.parent.exists()
    claim(root, home, new_root=True)
    claim(home / "repository", home, is_default=True)


def test_a_damaged_marker_is_no_marker_of_this_root(tmp_path: Path, home: Path) -> None:
    root = tmp_path / "root"
    first = claim(root, home)
    RepositoryFolders(root).marker.write_text("{")
    with pytest.raises(ConfigurationError, match="does not say which"):
        claim(root, home)
    with pytest.raises(ServiceUnavailableError, match="is away"):
        require_root(root, first)


@pytest.fixture
def elsewhere(postgres: Postgres, made_postgres: str, tmp_path: Path) -> Database:
    """A catalogue that does not lie in the root."""
    return password_beside(postgres, postgres.create_database(made_postgres), tmp_path / "root")


def settings_of(root: Path, home: Path) -> Settings:
    return Settings.model_validate({"home": home, "repository": {"root": root}})


def test_a_catalogue_elsewhere_knows_its_root_when_the_home_is_lost(
    tmp_path: Path, home: Path, elsewhere: Database
) -> None:
    root, away, lost = tmp_path / "root", tmp_path / "away", tmp_path / "new home"
    first = claim_repository(settings_of(root, home), elsewhere, new_root=False)
    assert claim_repository(settings_of(root, lost), elsewhere, new_root=False) == first
    root.rename(away)
    root.mkdir()
    for name in ("a", "b"):
        with pytest.raises(ConfigurationError, match="which is not in its root") as refused:
            claim_repository(settings_of(root, tmp_path / name), elsewhere, new_root=False)
    assert "--new-root" in refused.value.next_step
    assert listing(root) == []
    claim(root, tmp_path / "c")
    with pytest.raises(ConfigurationError, match="the catalogue is of another"):
        claim_repository(settings_of(root, tmp_path / "d"), elsewhere, new_root=False)
    second = claim_repository(settings_of(root, tmp_path / "e"), elsewhere, new_root=True)
    assert claim_repository(settings_of(root, tmp_path / "f"), elsewhere, new_root=False) == second != first


def test_an_earlier_version_s_catalogue_elsewhere_refuses_an_empty_root(
    tmp_path: Path, home: Path, elsewhere: Database, sender: Any
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    with Registrar(elsewhere, registered_by="repository-1") as registrar:
        registrar.register_shard(sender.seal(range(2)), recorded_with="eucentric 0.1.0")
    with pytest.raises(ConfigurationError, match="lists shards"):
        claim_repository(settings_of(root, home), elsewhere, new_root=False)
    assert listing(root) == []
    # The root of that version is adopted once it is mounted.
    (root / "shards").mkdir()
    claim_repository(settings_of(root, home), elsewhere, new_root=False)


@contextmanager
def serving(config: Path, home: Path) -> Iterator[ManagedProcess]:
    process = ManagedProcess(
        "repository", [*COMMAND, "serve", "--config", str(config)], log=home.with_name("repository.log")
    )
    try:
        process.wait_ready((home / "run/repository.json").exists, timeout_s=WAIT_S)
        yield process
    finally:
        process.stop()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_root_that_goes_away_gets_no_receipts_until_it_is_back(
    tmp_path: Path, home: Path, repository_folders: Any, sender: Any
) -> None:
    root, away = repository_folders.root, tmp_path / "away"
    port = find_free_port()
    config = tmp_path / "repository.toml"
    config.write_text(
        f"home = {json.dumps(str(home))}\n[repository]\nroot = {json.dumps(str(root))}\n"
        f"control_port = {port}\ndata_port = {find_free_port()}\n"
    )
    control = PyroControlClient("127.0.0.1", port)
    with serving(config, home):
        wait_for(lambda: control.call("ping", {})["state"] == "serving")
        said = home.with_name("repository.log").read_text()
        assert f"serves {root}: control 127.0.0.1:{port}" in said
        root.rename(away)
        wait_for(lambda: control.call("ping", {})["state"] == "failing")
        assert "is away" in str(control.call("status", {})["error"])
        # What agents deliver into the empty mount point meanwhile looks like a root.
        repository_folders.make()
        shard = sender.seal(range(2))
        sender.deliver(shard)
        time.sleep(0.5)
        assert (listing(repository_folders.receipts), repository_folders.database.exists()) == ([], False)
        assert control.call("ping", {})["state"] == "failing"
        root.rename(tmp_path / "empty")
        away.rename(root)
        sender.deliver(shard)
        wait_for(lambda: listing(repository_folders.receipts) != [])
        wait_for(lambda: control.call("status", {}).get("frames") == 2)
    control.close()
    root.rename(away)
    refused = run("serve", "--config", str(config))
    assert (refused.returncode, root.exists()) == (2, False)
    assert "is it mounted?" in refused.stderr
