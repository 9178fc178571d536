"""From the instrument to the model in service and back; told once, drawn, and in the words of PROV."""

from __future__ import annotations

from typing import Any

import pytest

from eucentric_core import ConfigurationError, IntegrityError, Lineage
from eucentric_data_repository import (
    LineageRecorder,
    provenance_mermaid,
    provenance_prov,
    provenance_tree,
    trace,
)


def lineage(run: str, *datasets: str, trained_from: str | None = None, code: str = "eucentric 1") -> Lineage:
    return Lineage(
        datasets=datasets,
        code_version=code,
        trigger_id=run,
        policy="drift",
        run_id=run,
        trained_from=trained_from,
    )


@pytest.fixture
def story(repository: Any, sender: Any) -> Any:
    """One data set; a first model without data, a second trained on the data set and installed."""
    shards = [sender.seal(range(2)), sender.seal(range(2, 4), index=1)]
    for shard in shards:
        sender.deliver(shard)
    sender.deliver_manifest(sender.manifest(*shards))
    repository.ingest()
    with LineageRecorder(repository.database) as recorder:
        for _ in range(2):
            recorder.record_training("atoms", 1, lineage("bootstrap"))
            recorder.record_training("atoms", 2, lineage("drift-1", "twin.s1", trained_from="v1"))
            recorder.record_installation("atoms", 2, edge="edge-1")
            recorder.record_export("twin.s1", form="ro-crate", where="10.5281/zenodo.1")
    return repository


def test_a_data_set_shows_where_it_comes_from_and_what_it_became(story: Any) -> None:
    with story.catalogue() as catalogue:
        lines = provenance_tree(trace(catalogue, "twin.s1"))
    assert lines == [
        "data set twin.s1 (SIMULATED)",
        "  comes from",
        "    4 frames haadf (8 x 8 float32)",
        "      session s1",
        "        instrument twin",
        "  became",
        "    ro-crate of twin.s1",
        "    training drift-1",
        "      atoms version 2",
        "        atoms version 2 on edge-1",
    ]


def test_an_installation_leads_back_to_the_instrument(story: Any) -> None:
    with story.catalogue() as catalogue:
        graph = trace(catalogue, "installation:edge-1/atoms/2", with_shards=True)
    kinds = [node.kind for node in graph.nodes]
    assert set(kinds) == {
        "installation",
        "model",
        "run",
        "dataset",
        "shard",
        "frames",
        "session",
        "instrument",
    }
    assert kinds.count("shard") == 2
    assert kinds.count("model") == 2
    assert {node.facts["sha256"] for node in graph.nodes if node.kind == "shard"} == {
        shard.sha256 for shard in _shards(story)
    }


def _shards(story: Any) -> list[Any]:
    with story.catalogue() as catalogue:
        return [entry.shard for entry in catalogue.shards()]


def test_names_are_found_in_every_short_form(story: Any) -> None:
    with story.catalogue() as catalogue:
        for name, start in (
            ("twin.s1", "dataset:twin.s1"),
            ("drift-1", "run:drift-1"),
            ("atoms/2", "model:atoms/2"),
            ("model:atoms/1", "model:atoms/1"),
        ):
            assert trace(catalogue, name).start == start
        for unknown in ("nobody", "model:atoms/9", "", "a\x00b", "x" * 5000, "session:twin/s1"):
            with pytest.raises(ConfigurationError, match="Nothing is known"):
                trace(catalogue, unknown)


def test_a_second_story_of_the_same_run_is_refused(story: Any) -> None:
    with (
        LineageRecorder(story.database) as recorder,
        pytest.raises(IntegrityError, match="Another story of run:drift-1"),
    ):
        recorder.record_training("atoms", 3, lineage("drift-1", "twin.s1", code="eucentric 2"))
    with story.catalogue() as catalogue, pytest.raises(ConfigurationError):
        trace(catalogue, "model:atoms/3")


def test_a_data_set_of_another_repository_is_named_and_said_to_be_elsewhere(repository: Any) -> None:
    with LineageRecorder(repository.database) as recorder:
        recorder.record_training("atoms", 1, lineage("run-1", "usim.far"))
        with pytest.raises(ConfigurationError, match="no data set"):
            recorder.record_export("usim.far", form="ro-crate", where="x")
    with repository.catalogue() as catalogue:
        graph = trace(catalogue, "atoms/1")
    (elsewhere,) = [node for node in graph.nodes if node.kind == "unknown"]
    assert elsewhere.label == "dataset:usim.far (not in this catalogue)"


def test_prov_json_refers_only_to_what_it_declares(story: Any) -> None:
    with story.catalogue() as catalogue:
        document: Any = provenance_prov(trace(catalogue, "twin.s1", with_shards=True))
    declared = {name for group in ("entity", "activity", "agent") for name in document[group]}
    assert "eucentric:instrument:twin" in document["agent"]
    assert "eucentric:run:drift-1" in document["activity"]
    relations = set(document) - {"prefix", "entity", "activity", "agent"}
    assert relations == {"used", "wasGeneratedBy", "wasDerivedFrom", "wasAssociatedWith", "hadMember"}
    named = {end for relation in relations for edge in document[relation].values() for end in edge.values()}
    assert named <= declared


def test_the_picture_shows_every_node_and_arrow(story: Any) -> None:
    with story.catalogue() as catalogue:
        graph = trace(catalogue, "twin.s1")
    lines = provenance_mermaid(graph).splitlines()
    assert lines[0] == "flowchart LR"
    assert len(lines) == 1 + len(graph.nodes) + len(graph.edges)
    assert any("instrument twin" in line for line in lines)
