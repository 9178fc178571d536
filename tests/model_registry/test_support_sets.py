"""The store of support sets: versions only rise, nobody overwrites one, and damage is found."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from eucentric_model_registry.support_sets import (
    NamedClass,
    NewSupportSet,
    SupportSetConflictError,
    SupportSetStore,
    SupportSetStoreError,
    UnknownSupportSetError,
)


@pytest.fixture
def store(tmp_path: Path) -> SupportSetStore:
    return SupportSetStore(tmp_path / "support-sets")


def new(
    *, name: str = "oxide", based_on: int | None = None, author: str = "anna", notes: str = ""
) -> NewSupportSet:
    return NewSupportSet(
        name=name,
        author=author,
        notes=notes,
        classes=(NamedClass(key=1, name="film", colour="#56b4e9", chips=5),),
        chip_px=64,
        pixel_size_m=20e-12,
        based_on=based_on,
    )


def test_versions_rise_and_each_stays_what_it_was(store: SupportSetStore) -> None:
    first = store.save(new(notes="thin film"), b"one")
    second = store.save(new(based_on=1), b"two")
    assert (first.version, second.version) == (1, 2)
    assert store.history("oxide") == (second, first)
    assert store.content(store.record("oxide", 1)) == b"one"
    assert store.record("oxide") == second
    assert store.record("oxide", 1).notes == "thin film"


def test_an_empty_store_is_no_failure(store: SupportSetStore) -> None:
    assert store.newest() == ()
    assert store.history("oxide") == ()
    with pytest.raises(UnknownSupportSetError):
        store.record("oxide")


def test_the_list_shows_the_newest_of_each_name(store: SupportSetStore) -> None:
    store.save(new(), b"one")
    other = store.save(new(name="grains"), b"three")
    second = store.save(new(based_on=1), b"two")
    assert store.newest() == (second, other)


def test_saving_twice_is_saving_once(store: SupportSetStore) -> None:
    first = store.save(new(), b"one")
    assert store.save(new(), b"one") == first
    assert len(store.history("oxide")) == 1


def test_who_began_with_an_older_version_is_told_who_was_first(store: SupportSetStore) -> None:
    store.save(new(), b"one")
    store.save(new(based_on=1, author="bert"), b"two")
    with pytest.raises(SupportSetConflictError) as refused:
        store.save(new(based_on=1), b"three")
    assert refused.value.details == {"name": "oxide", "version": 2, "author": "bert"}
    assert store.save(new(based_on=2), b"three").version == 3


def test_of_many_at_once_one_wins_and_the_others_are_told(store: SupportSetStore) -> None:
    store.save(new(), b"one")

    def save(author: str) -> bool:
        try:
            store.save(new(based_on=1, author=author), author.encode())
        except SupportSetConflictError:
            return False
        return True

    with ThreadPoolExecutor(8) as people:
        won = list(people.map(save, [f"person {number}" for number in range(8)]))
    assert sum(won) == 1
    assert [record.version for record in store.history("oxide")] == [2, 1]


@pytest.mark.parametrize("statement", ["UPDATE versions SET version = 9", "DELETE FROM versions"])
def test_not_even_the_database_overwrites(store: SupportSetStore, tmp_path: Path, statement: str) -> None:
    store.save(new(), b"one")
    connection = sqlite3.connect(tmp_path / "support-sets" / "versions.sqlite")
    with pytest.raises(sqlite3.IntegrityError, match="never"):
        connection.execute(statement)
    connection.close()


def test_damage_is_found_when_it_is_read_and_mended_when_it_is_saved_again(store: SupportSetStore) -> None:
    record = store.save(new(), b"one")
    store.path(record).write_bytes(b"onf")
    with pytest.raises(SupportSetStoreError, match="damaged"):
        store.content(record)
    store.save(new(), b"one")
    assert store.content(record) == b"one"
    store.path(record).unlink()
    with pytest.raises(SupportSetStoreError, match="cannot be read"):
        store.content(record)


def test_a_store_that_is_none_is_said_so(store: SupportSetStore, tmp_path: Path) -> None:
    (tmp_path / "support-sets").mkdir()
    (tmp_path / "support-sets" / "versions.sqlite").write_bytes(
        b"this is no database, though long enough" * 40
    )
    for attempt in (store.newest, lambda: store.save(new(), b"one")):
        with pytest.raises(SupportSetStoreError):
            attempt()
