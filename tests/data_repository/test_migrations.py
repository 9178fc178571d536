"""An earlier version's catalogue is brought up to date without loss; a newer version's is refused."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from eucentric_core import ConfigurationError, DatasetManifest, ServiceUnavailableError, load_settings
from eucentric_data_repository import Catalogue, Database, Registrar, RepositoryFolders, database_of
from eucentric_data_repository._backfill import read_missing_facts
from eucentric_data_repository._migrate import SCHEMA_VERSION
from eucentric_data_repository._tables import metadata

GOLDEN = Path(__file__).parent / "golden" / "catalogue_v1.sql"


@pytest.fixture
def old(repository_folders: RepositoryFolders) -> Path:
    """A catalogue as version 0.1.0 left it: one complete data set, one open, four events, two published."""
    connection = sqlite3.connect(repository_folders.database)
    connection.executescript(GOLDEN.read_text())
    connection.close()
    return repository_folders.database


def test_a_catalogue_of_version_0_1_0_is_adopted_without_loss(old: Path) -> None:
    before = sqlite3.connect(old)
    kept = {
        table: before.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()  # noqa: S608
        for table in ("datasets", "shards", "events")
    }
    before.close()
    registrar = Registrar(old, registered_by="repository-1")
    assert [position for position, _ in registrar.unpublished()] == [3, 4]
    after = sqlite3.connect(old)
    for table, rows in kept.items():
        now = after.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()  # noqa: S608
        assert [row[: len(rows[0])] for row in now] == rows
    after.close()
    with Catalogue(old) as catalogue:
        first, second = catalogue.datasets()
        assert (first.dataset_id, first.state, first.shards, first.frames, first.missing) == (
            "twin.s1",
            "complete",
            2,
            32,
            1,
        )
        assert (second.state, second.material) == ("open", None)
        manifest = catalogue.manifest("twin.s1")
        assert [entry.shard for entry in catalogue.shards(session="s1")] == list(manifest.shards)  # type: ignore[union-attr]
        assert len(catalogue.events()) == 4
    # What was registered before stays registered: nothing is entered or announced again.
    assert isinstance(manifest, DatasetManifest)
    assert registrar.register_shard(manifest.shards[0], recorded_with="eucentric 0.1.0") == []
    assert registrar.register_dataset(manifest) == []
    registrar.close()


def test_shards_of_an_adopted_catalogue_are_searched_once_their_files_were_read(
    repository_folders: RepositoryFolders, sender: Any
) -> None:
    shard = sender.seal(range(3), sample="grid-7")
    final = repository_folders.shard("twin.s1", shard.file_name)
    final.parent.mkdir()
    (sender.work / shard.file_name).replace(final)
    with Registrar(repository_folders.database, registered_by="repository-1") as registrar:
        registrar.register_shard(shard, recorded_with="eucentric 0.1.0")
        gone = shard.model_copy(update={"session": "s2"})
        registrar.register_shard(gone, recorded_with="eucentric 0.1.0")
        assert read_missing_facts(repository_folders, registrar) == 2
        assert read_missing_facts(repository_folders, registrar) == 0
    with Catalogue(repository_folders.database) as catalogue:
        details = catalogue.dataset("twin.s1")
        assert details.streams[0].frames == 3
        assert details.entry.first_acquired_utc is not None
        assert catalogue.dataset("twin.s2").streams == ()


def test_the_migrations_make_the_tables_that_the_code_means(empty_database: Database) -> None:
    Registrar(empty_database, registered_by="repository-1").close()
    engine = empty_database.open()
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_an_adopted_catalogue_has_the_tables_that_the_code_means(old: Path) -> None:
    Registrar(old, registered_by="repository-1").close()
    engine = Database.at(old).open()
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        differences = [
            kind
            for difference in compare_metadata(context, metadata)
            for kind, *_ in (difference if isinstance(difference, list) else [difference])
        ]
    # Version 0.1.0 left out NOT NULL where a primary key says it.
    assert set(differences) <= {"modify_nullable"}
    engine.dispose()


def test_a_catalogue_of_a_newer_version_is_refused_and_left_alone(repository: Any, sender: Any) -> None:
    sender.deliver(sender.seal(range(2)))
    repository.ingest()
    engine = repository.database.open()
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    for opening in (repository.registrar, repository.catalogue):
        with pytest.raises(ConfigurationError, match=f"9999.*{SCHEMA_VERSION}"):
            opening()


def test_a_catalogue_that_must_be_upgraded_is_not_read_before(old: Path) -> None:
    with pytest.raises(ServiceUnavailableError, match="schema 0001, older"):
        Catalogue(old)


def test_an_upgrade_that_fails_leaves_the_old_catalogue(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from eucentric_data_repository import _migrate

    def break_off(*_arguments: object, **_more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("alembic.op.create_index", break_off)
    with pytest.raises(KeyboardInterrupt):
        Registrar(old, registered_by="repository-1")
    monkeypatch.undo()
    connection = sqlite3.connect(old)
    assert "alembic_version" not in {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    assert len(connection.execute("PRAGMA table_info(datasets)").fetchall()) == 10
    connection.close()
    Registrar(old, registered_by="repository-1").close()
    assert _migrate.SCHEMA_VERSION == SCHEMA_VERSION


def test_services_that_start_together_make_one_catalogue(empty_database: Database) -> None:
    failures: list[BaseException] = []

    def start() -> None:
        try:
            Registrar(empty_database, registered_by="repository-1").close()
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_catalogues_that_one_process_makes_side_by_side_are_all_whole(tmp_path: Path) -> None:
    places = [tmp_path / f"{number}.sqlite" for number in range(6)]
    with ThreadPoolExecutor(len(places)) as several:
        for made in several.map(lambda place: Registrar(place, registered_by="repository-1"), places):
            made.close()
    for place in places:
        with Catalogue(place) as catalogue:
            assert catalogue.datasets() == []


def test_two_services_on_one_database_register_each_shard_once(repository: Any, sender: Any) -> None:
    sealed = [sender.seal([n], index=n) for n in range(12)]
    overlapping = sender.seal([3, 4], index=99, value=0.5)
    manifest = sender.manifest(*sealed)
    caused: list[Any] = []
    refused: list[str] = []
    repository.registrar().close()
    barrier = threading.Barrier(3)

    def serve() -> None:
        with repository.registrar() as registrar:
            barrier.wait()
            caused.extend(registrar.register_dataset(manifest))
            for shard in [*sealed[:6], overlapping, *sealed[6:]]:
                try:
                    caused.extend(registrar.register_shard(shard, recorded_with="eucentric 0.test"))
                except Exception as error:  # noqa: BLE001
                    refused.append(type(error).__name__)

    threads = [threading.Thread(target=serve) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused == ["IntegrityError"] * 3
    assert sorted(event.kind for event in caused) == ["dataset.registered"] + ["shard.registered"] * 12
    with repository.catalogue() as catalogue:
        assert catalogue.count() == 12
        assert len(catalogue.events()) == 13


CANARY = "canary-5f1e"


def test_a_password_is_never_part_of_the_settings_nor_of_what_is_said_about_the_database(
    tmp_path: Path,
) -> None:
    secret = tmp_path / "password"
    secret.write_text(CANARY)
    secret.chmod(0o600)
    flags = {
        "repository": {
            "database": "postgresql+psycopg://user@127.0.0.1:1/none",
            "database_password_file": str(secret),
            "root": str(tmp_path),
        }
    }
    settings = load_settings(flags=flags, environment={})
    database = database_of(settings)
    with pytest.raises(ServiceUnavailableError) as caught:
        Registrar(database, registered_by="repository-1")
    said = [str(database), repr(database), str(caught.value), repr(caught.value), settings.model_dump_json()]
    said.append(json.dumps(caught.value.report().model_dump(mode="json")))
    said.append(repr(caught.value.__cause__))
    assert CANARY not in "".join(said)
    with pytest.raises(ConfigurationError) as refused:
        load_settings(
            flags={"repository": {"database": f"postgresql+psycopg://user:{CANARY}@h/d"}}, environment={}
        )
    assert CANARY not in str(refused.value) + repr(refused.value.__cause__)


@pytest.mark.skipif(sys.platform != "linux", reason="the option is Linux's")
def test_a_database_that_goes_without_a_word_is_not_waited_for_for_a_quarter_of_an_hour(
    made_postgres: str, postgres: Any, tmp_path: Path
) -> None:
    password = tmp_path / "password"
    password.touch(mode=0o600)
    password.write_text(postgres.password)
    engine = Database(postgres.create_database(made_postgres), tmp_path, password).open()
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        with socket.socket(fileno=os.dup(driver.fileno())) as end:
            assert end.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000
            assert end.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert end.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 10
    engine.dispose()


def test_a_password_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("x")
    secret.chmod(0o644)
    database = Database("postgresql+psycopg://user@127.0.0.1:1/none", tmp_path, secret)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        Registrar(database, registered_by="repository-1")


def test_a_wrong_password_is_one_clear_sentence(postgres: Any, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text(CANARY)
    secret.chmod(0o600)
    with pytest.raises(ServiceUnavailableError, match="password authentication failed") as caught:
        Registrar(Database(postgres.create_database(), tmp_path, secret), registered_by="repository-1")
    assert CANARY not in str(caught.value)
