"""`eucentric data`: what people type, and what they are told."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from eucentric_core import DatasetManifest
from eucentric_data_repository import Database, DatasetEntry
from eucentric_data_repository.data_cli import app
from eucentric_data_repository.data_cli._completeness import completeness
from eucentric_data_repository.data_cli._look import print_datasets


@pytest.fixture
def database(repository_folders: Any) -> Database:
    """The command's words do not depend on the kind of database."""
    return Database.at(repository_folders.database)


@pytest.fixture
def filled(repository: Any, sender: Any, tmp_path: Path) -> Path:
    """Two data sets, one complete; returns the settings file."""
    pair = [sender.seal(range(2), sample="grid-1"), sender.seal(range(2, 4), index=1, sample="grid-1")]
    for shard in pair:
        sender.deliver(shard)
    sender.deliver_manifest(sender.manifest(*pair))
    sender.deliver(sender.seal(range(3), session="s2"))
    repository.ingest()
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps({"properties": {"dose": {"type": "number"}}}))
    config = tmp_path / "machine.toml"
    root, archive = repository.folders.root, tmp_path / "archive"
    archive.mkdir()
    config.write_text(
        f"home = {json.dumps(str(tmp_path / 'home'))}\n[client]\nname = 'ada'\n"
        f"[repository]\nroot = {json.dumps(str(root))}\nmetadata_schema = {json.dumps(str(schema))}\n"
        f"archives = [{json.dumps(str(archive))}]\n"
        "[[repository.retention]]\nname = 'papers'\ntag = 'paper'\n"
        "[[repository.retention]]\nname = 'copied'\nsimulated = true\nkeep = 'until_copied'\ncopies = 1\n"
    )
    return config


def run(config: Path, *arguments: str, status: int = 0) -> Result:
    outcome = CliRunner().invoke(app, [*arguments, "--config", str(config)])
    assert outcome.exit_code == status, outcome.output
    assert "Traceback" not in outcome.output
    return outcome


def answer(config: Path, *arguments: str, status: int = 0) -> Any:
    return json.loads(run(config, *arguments, "--json", status=status).stdout)


def names(found: Any) -> list[str]:
    return [entry["dataset_id"] for entry in found["datasets"]]


def test_data_sets_are_listed_and_found(filled: Path) -> None:
    listed = run(filled, "ls").stdout
    assert "twin.s1" in listed
    assert "complete, SIMULATED" in listed
    assert sorted(names(answer(filled, "ls"))) == ["twin.s1", "twin.s2"]
    assert names(answer(filled, "search", "--sample", "grid-1", "--high-tension-kv", "60")) == ["twin.s1"]
    assert names(answer(filled, "search", "--field-of-view-nm", "0.1..", "--state", "open")) == ["twin.s2"]
    assert names(answer(filled, "search", "--pixel-size-pm", "..19")) == []
    assert names(answer(filled, "search", "--measured")) == []
    assert names(answer(filled, "search", "--since", "2999-01-01")) == []
    assert "1 to 1 of 2" in run(filled, "search", "--limit", "1").stdout
    for wrong in (
        ("--high-tension-kv", "much"),
        ("--defocus-nm", "20..10"),
        ("--dwell-time-us", "nan"),
        ("--since", "yesterday"),
        ("--text", "x" * 300),
    ):
        assert "next:" in run(filled, "search", *wrong, status=2).stderr


def test_a_data_set_is_described_and_shown(filled: Path) -> None:
    run(filled, "tag", "twin.s1", "good", "for paper")
    run(filled, "tag", "twin.s1", "good", "--remove")
    run(filled, "note", "twin.s1", "drifts a little")
    run(filled, "annotate", "twin.s1", "operator=Grace", "dose=2.5")
    assert answer(filled, "annotate", "twin.s1", "dose=3")["metadata"] == {"operator": "Grace", "dose": 3}
    refused = run(filled, "annotate", "twin.s1", "dose=much", status=2)
    assert "$.dose: 'much' is not of type 'number'" in refused.stderr
    run(filled, "hold", "twin.s1", "for the referee")
    shown = run(filled, "show", "twin.s1").stdout
    for part in (
        "twin.s1 SIMULATED (complete)",
        "operator Grace",
        "4 frames (0 missing) in 2 shards",
        "stream haadf: 4 frames, 8 x 8 float32",
        "high_tension_kv 60",
        "pixel_size_pm 20",
        "tags: for paper",
        "note by ada",
        "metadata dose: 3",
        "held by ada: for the referee",
    ):
        assert part in shown
    assert answer(filled, "show", "twin.s1")["hold"]["why"] == "for the referee"
    run(filled, "release", "twin.s1")
    assert answer(filled, "show", "twin.s1")["hold"] is None
    assert "no data set" in run(filled, "tag", "twin.nothing", "x", status=2).stderr


def test_what_a_data_set_lacks_is_said(filled: Path, repository: Any, sender: Any) -> None:
    assert "open: its manifest has not come" in run(filled, "show", "twin.s2").stdout
    # Of two shards that the manifest lists one has not come.
    first, second = sender.seal([0, 4, 6], session="s3"), sender.seal([30], index=1, session="s3")
    sender.deliver(first)
    missing = tuple(n for n in range(30) if n not in (0, 4, 6))
    sender.deliver_manifest(sender.manifest(first, second, missing=missing, session="s3"))
    repository.ingest()
    shown = run(filled, "show", "twin.s3").stdout
    assert "open: 1 of its 2 shards have not come" in shown
    assert "missing acquisitions: 1-3, 5, 7-29" in shown


def test_many_gaps_are_named_in_one_line() -> None:
    entry = DatasetEntry.model_validate(
        {
            "dataset_id": "twin.s1",
            "instrument": "twin",
            "session": "s1",
            "sample": None,
            "material": None,
            "simulated": True,
            "state": "complete",
            "shards": 0,
            "frames": 0,
            "size_bytes": 0,
            "missing": 500,
            "first_registered_utc": datetime.now(UTC),
            "completed_utc": None,
        }
    )
    manifest = DatasetManifest(
        instrument="twin",
        session="s1",
        shards=(),
        missing_sequences=tuple(range(0, 1000, 2)),
        closed_utc=datetime.now(UTC),
    )
    assert list(completeness(entry, manifest)) == [
        "missing acquisitions: 0, 2, 4, 6, 8, 10, 12, 14 and 492 more"
    ]


@pytest.mark.parametrize(("terminal", "columns"), [(False, "80"), (True, "40")])
def test_names_to_type_are_never_cut_or_wrapped(
    terminal: bool, columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    # Rich's own switch for what a terminal would get.
    monkeypatch.setenv("FORCE_COLOR", "1" if terminal else "")
    name = f"titan.{'a-long-session-' * 8}end"
    entry: dict[str, Any] = {
        "dataset_id": name,
        "material": "molybdenum-disulphide" * 3,
        "frames": 1,
        "size_bytes": 1,
        "state": "open",
        "simulated": False,
        "missing": 0,
        "pruned": 0,
        "first_acquired_utc": datetime(2026, 11, 26, tzinfo=UTC),
    }
    print_datasets((DatasetEntry.model_construct(None, **entry),))
    printed = capsys.readouterr().out
    assert name in printed
    assert "2026-11-26 00:00" in printed


def test_a_search_without_hits_says_so(filled: Path) -> None:
    assert run(filled, "search", "--material", "gold").stdout == "no data set found\n"
    assert answer(filled, "search", "--material", "gold")["total"] == 0


def test_a_mistyped_root_is_no_new_repository(filled: Path, tmp_path: Path) -> None:
    outcome = CliRunner().invoke(app, ["tag", "twin.s1", "x", "--root", str(tmp_path)])
    assert outcome.exit_code == 2
    assert not (tmp_path / "catalogue.sqlite").exists()


def test_files_are_fetched_copied_and_checked(filled: Path, tmp_path: Path, repository: Any) -> None:
    fetched = answer(filled, "get", "twin.s1", str(tmp_path / "out"))
    assert len(fetched["files"]) == 2
    assert "3 of 3 shards intact" in run(filled, "verify").stdout
    assert "2 shards confirmed" in run(filled, "copy", "twin.s1", str(tmp_path / "archive")).stdout
    with repository.catalogue() as catalogue:
        catalogue.shards()[0].path.unlink()
    verified = run(filled, "verify", "twin.s1", status=1).stdout
    assert "missing: twin.s1/" in verified
    assert "deliver it again" in verified


def test_pruning_is_dry_unless_told_otherwise(filled: Path, tmp_path: Path) -> None:
    assert answer(filled, "prune")["deletable"] == 0
    run(filled, "copy", "twin.s1", str(tmp_path / "archive"))
    dry = run(filled, "prune", "--kept").stdout
    assert dry.count("would delete twin.s1/") == 2
    assert "keeps twin.s2/" in dry
    assert "its data set is open" in dry
    assert "3 of 3 shards intact" in run(filled, "verify").stdout
    run(filled, "tag", "twin.s1", "paper")
    assert answer(filled, "prune", "--delete")["deleted"] == 0
    run(filled, "tag", "twin.s1", "paper", "--remove")
    assert answer(filled, "prune", "--delete")["deleted"] == 2
    assert "1 of 3 shards intact, 2 pruned" in run(filled, "verify").stdout
    assert "was pruned" in run(filled, "get", "twin.s1", str(tmp_path / "out"), status=2).stderr
    assert "2 of them pruned" in run(filled, "show", "twin.s1").stdout


def test_provenance_is_a_tree_prov_or_a_picture(filled: Path, tmp_path: Path) -> None:
    picture = tmp_path / "graph.mmd"
    assert "instrument twin" in run(filled, "provenance", "twin.s1", "--mermaid", str(picture)).stdout
    assert picture.read_text().startswith("flowchart LR")
    assert "entity" in answer(filled, "provenance", "twin.s1")


def test_an_exported_crate_keeps_its_data_set(filled: Path, tmp_path: Path) -> None:
    given = ("--title", "t", "--publisher", "p", "--year", "2026", "--licence", "CC-BY-4.0")
    citation = tmp_path / "citation.toml"
    citation.write_text('creators = [{name = "Doe, Jane"}]\n')
    run(filled, "copy", "twin.s1", str(tmp_path / "archive"))
    crate = ("export", "twin.s1", str(tmp_path / "crate"), "--format", "ro-crate")
    run(filled, *crate, *given, "--citation", str(citation))
    assert (tmp_path / "crate/twin.s1.crate/ro-crate-metadata.json").is_file()
    again = run(filled, *crate, *given, "--citation", str(citation), status=2).stderr
    assert "is there already" in again
    assert [path.name for path in (tmp_path / "crate").iterdir()] == ["twin.s1.crate"]
    assert answer(filled, "prune", "--delete")["deleted"] == 0
    run(filled, "export", "twin.s1", str(tmp_path / "plain"), "--format", "hdf5")
    assert len(list((tmp_path / "plain/twin.s1").iterdir())) == 2
