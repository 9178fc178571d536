"""A data set becomes a package to cite: it re-reads, re-hashes, says who and what, and comes out the same."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from rocrate.rocrate import ROCrate

from eucentric_core import ConfigurationError, DataFormatError, DatasetManifest, IntegrityError
from eucentric_data_repository.export import Citation, Creator, export_crate, read_citation
from eucentric_transfer import ShardReader

# One kind of database is enough here: what is exported is the same.
pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

CITATION = Citation(
    creators=(
        Creator(name="Noether, Emmy", orcid="0000-0002-1825-0097", affiliation="Göttingen"),
        Creator(name="The Facility", organisation=True),
    ),
    title="MoS2 under the beam",
    publisher="Some Archive",
    year=2026,
    licence="CC-BY-4.0",
    description="Frames of a monolayer.",
    subjects=("HAADF-STEM",),
    published="2026-11-26",
    related=("10.1000/xyz123",),
)


@pytest.fixture
def delivered(repository: Any, sender: Any) -> Any:
    first, second = sender.seal(range(4)), sender.seal([4, 6], index=1)
    sender.deliver(first)
    sender.deliver(second)
    sender.deliver_manifest(sender.manifest(first, second, missing=(5,)))
    repository.ingest()
    return repository


def export(repository: Any, destination: Path, citation: Citation = CITATION, **options: Any) -> Path:
    with repository.catalogue() as catalogue:
        return export_crate(catalogue, "twin.s1", destination, citation=citation, **options)


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def document(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_every_byte_is_listed_and_is_what_was_registered(delivered: Any, sender: Any, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    path = export(delivered, tmp_path, progress=lambda done, total: steps.append((done, total)))
    assert path == tmp_path / "twin.s1.crate"
    total = sum(shard.size_bytes for shard in sender.sealed)
    assert steps == [(sender.sealed[0].size_bytes, total), (total, total)]
    lines = [line.split("  ", 1) for line in (path / "manifest-sha256.txt").read_text().splitlines()]
    listed = {name: digest for digest, name in lines}
    found = content(path)
    assert set(listed) == set(found) - {"manifest-sha256.txt"}
    for name, digest in listed.items():
        assert hashlib.sha256(found[name]).hexdigest() == digest
    assert {listed[f"shards/{shard.file_name}"] for shard in sender.sealed} == {
        shard.sha256 for shard in sender.sealed
    }
    with ShardReader(path / "shards" / sender.sealed[1].file_name) as reader:
        assert [frame.header.sequence for frame in reader.frames("haadf")] == [4, 6]


def test_the_manifest_says_what_is_missing(delivered: Any, sender: Any, tmp_path: Path) -> None:
    path = export(delivered, tmp_path)
    manifest = DatasetManifest.model_validate_json((path / "dataset.json").read_bytes())
    assert manifest.missing_sequences == (5,)
    assert list(manifest.shards) == sender.sealed
    assert "| missing | 1: 5 |" in (path / "README.md").read_text()


def test_rocrate_reads_it_again(delivered: Any, sender: Any, tmp_path: Path) -> None:
    path = export(delivered, tmp_path)
    crate = ROCrate(path)
    assert crate.version == "1.1"
    root = crate.root_dataset
    assert root["name"] == CITATION.title
    assert str(root["datePublished"]).startswith("2026-11-26")
    assert root["license"]["name"] == "CC-BY-4.0"
    assert [creator["name"] for creator in root["creator"]] == ["Noether, Emmy", "The Facility"]
    assert root["creator"][0].id == "https://orcid.org/0000-0002-1825-0097"
    assert root["creator"][0]["affiliation"]["name"] == "Göttingen"
    assert root["instrument"]["name"] == "twin"
    files = {entity.id: entity for entity in crate.data_entities}
    assert set(files) == set(content(path)) - {"manifest-sha256.txt", "ro-crate-metadata.json"}
    for shard in sender.sealed:
        entity = files[f"shards/{shard.file_name}"]
        assert (entity["sha256"], entity["contentSize"]) == (shard.sha256, str(shard.size_bytes))
        assert entity["encodingFormat"] == "application/x-hdf5"


def test_datacite_has_what_it_requires(delivered: Any, tmp_path: Path) -> None:
    record = document(export(delivered, tmp_path) / "datacite.json")
    required = {"creators", "titles", "publisher", "publicationYear", "types", "schemaVersion"}
    assert required <= set(record)
    assert record["schemaVersion"] == "http://datacite.org/schema/kernel-4"
    assert record["publicationYear"] == "2026"
    assert record["types"]["resourceTypeGeneral"] == "Dataset"
    person, facility = record["creators"]
    assert (person["familyName"], person["givenName"], person["nameType"]) == ("Noether", "Emmy", "Personal")
    assert person["nameIdentifiers"][0]["nameIdentifierScheme"] == "ORCID"
    assert facility == {"name": "The Facility", "nameType": "Organizational"}
    assert record["rightsList"][0]["rightsIdentifier"] == "CC-BY-4.0"
    assert [subject["subject"] for subject in record["subjects"]] == ["HAADF-STEM", "mos2"]
    assert {date["dateType"] for date in record["dates"]} == {"Collected", "Issued"}
    assert record["relatedIdentifiers"][0]["relatedIdentifier"] == "10.1000/xyz123"
    assert "doi" not in record


def test_a_doi_is_in_every_place(delivered: Any, tmp_path: Path) -> None:
    path = export(delivered, tmp_path, CITATION.model_copy(update={"doi": "10.1000/abc"}))
    assert document(path / "datacite.json")["doi"] == "10.1000/abc"
    assert ROCrate(path).root_dataset["identifier"] == "https://doi.org/10.1000/abc"
    assert "https://doi.org/10.1000/abc" in (path / "README.md").read_text()


def test_simulated_data_say_so_everywhere(delivered: Any, tmp_path: Path) -> None:
    path = export(delivered, tmp_path)
    for name in ("README.md", "datacite.json", "ro-crate-metadata.json"):
        assert "SIMULATED" in (path / name).read_text(encoding="utf-8")


def test_the_same_data_and_citation_give_the_same_bytes(delivered: Any, tmp_path: Path) -> None:
    first, second = export(delivered, tmp_path / "first"), export(delivered, tmp_path / "second")
    assert content(first) == content(second)
    without = CITATION.model_copy(update={"published": None})
    assert content(export(delivered, tmp_path / "a", without)) == content(
        export(delivered, tmp_path / "b", without)
    )


def test_shards_can_be_linked_instead_of_copied(delivered: Any, sender: Any, tmp_path: Path) -> None:
    copied, linked = export(delivered, tmp_path / "copied"), export(delivered, tmp_path / "linked", link=True)
    name = f"shards/{sender.sealed[0].file_name}"
    stored = delivered.folders.shard("twin.s1", sender.sealed[0].file_name)
    assert os.path.samefile(linked / name, stored)
    assert not os.path.samefile(copied / name, stored)
    assert content(copied) == content(linked)


@pytest.mark.parametrize("link", [False, True])
def test_a_changed_or_lost_shard_stops_the_export(
    delivered: Any, sender: Any, tmp_path: Path, link: bool
) -> None:
    stored = delivered.folders.shard("twin.s1", sender.sealed[1].file_name)
    changed = bytearray(stored.read_bytes())
    changed[-1] ^= 1
    stored.write_bytes(changed)
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(IntegrityError, match="not what was registered"):
        export(delivered, out, link=link)
    stored.unlink()
    with pytest.raises(IntegrityError, match="not what was registered"):
        export(delivered, out, link=link)
    assert list(out.iterdir()) == []


def test_a_data_set_that_is_still_recorded_is_not_citable(
    repository: Any, sender: Any, tmp_path: Path
) -> None:
    sender.deliver(sender.seal(range(4)))
    repository.ingest()
    with pytest.raises(DataFormatError, match="not complete"):
        export(repository, tmp_path)
    assert not list(tmp_path.glob("*.crate"))


def test_what_is_there_already_is_not_overwritten(delivered: Any, tmp_path: Path) -> None:
    export(delivered, tmp_path)
    with pytest.raises(ConfigurationError, match="there already"):
        export(delivered, tmp_path)


TOML = """
creators = [{ name = "Noether, Emmy" }]
title = "A title"
publisher = "An archive"
year = 2026
licence = "CC0-1.0"
"""


def test_a_citation_comes_from_a_file_and_an_option_wins(tmp_path: Path, database: Any) -> None:
    file = tmp_path / "citation.toml"
    file.write_text(TOML)
    citation = read_citation(file, title="Another", description=None)
    assert (citation.title, citation.year, citation.creators[0].name) == ("Another", 2026, "Noether, Emmy")


@pytest.mark.parametrize("missing", ["creators", "title", "publisher", "year", "licence"])
def test_what_is_required_and_missing_is_named(tmp_path: Path, database: Any, missing: str) -> None:
    file = tmp_path / "citation.toml"
    file.write_text("\n".join(line for line in TOML.splitlines() if not line.startswith(missing)))
    with pytest.raises(ConfigurationError, match=f"needs {missing}") as refused:
        read_citation(file)
    assert refused.value.details["missing"] == [missing]


def test_nothing_given_names_all_that_is_missing(database: Any) -> None:
    with pytest.raises(ConfigurationError, match="creators, title, publisher, year, licence"):
        read_citation()


@pytest.mark.parametrize(
    "line", ['year = "soon"', 'licence = "my own one"', 'doi = "abc"', 'colour = "red"', "not toml"]
)
def test_a_value_that_is_none_is_refused(tmp_path: Path, database: Any, line: str) -> None:
    file = tmp_path / "citation.toml"
    kept = [item for item in TOML.splitlines() if item.partition(" ")[0] != line.partition(" ")[0]]
    file.write_text("\n".join([*kept, line]))
    with pytest.raises(ConfigurationError):
        read_citation(file)


def test_a_citation_that_is_not_there_is_one_clear_sentence(tmp_path: Path, database: Any) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_citation(tmp_path / "nowhere.toml")
