"""A gate on the latency is judged by what the edge measured on its own machine, and the page says so."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from eucentric_core import load_settings
from eucentric_core.transport import find_free_port
from eucentric_flows.stages import Judgement, Publication, Workspace, try_out
from eucentric_model_registry import (
    Gates,
    KeyFolder,
    MetricGate,
    Registry,
    Verdict,
    build_and_sign_bundle,
    create_trust,
    load_signer,
)

from ..edge.bench import Edge, microscope
from ..model_registry.contents import make_content

pytestmark = pytest.mark.slow

JUDGED = Judgement(verdict=Verdict(accepted=True, checks=(), sentence="Accepted on data."))


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    with zmq.Context() as context:
        yield context


def test_the_edge_decides_whether_a_challenger_is_fast_enough(
    tmp_path: Path, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    home, agent_port = tmp_path / "hub", find_free_port()
    bare = load_settings(flags={"home": str(home)}, environment={})
    keys = KeyFolder.of(bare)
    trusted = create_trust(keys, bare.releases_path)
    edge = Edge(
        tmp_path / "edge", trusted, agent_port, release_poll_s=86_400, releases=f'"{bare.releases_path}"'
    )
    shutil.copy(keys.root, edge.home / "root.json")
    settings = load_settings(
        flags={"home": str(home), "edge": {"control_port": edge.control_port}}, environment={}
    )

    def publication(trigger_id: str, version: int) -> Publication:
        workspace = Workspace.of(settings, "atoms", trigger_id)
        content = make_content(name="atoms", version=version, trigger_id=trigger_id)
        build_and_sign_bundle(workspace.bundle, content, load_signer(keys.signing))
        return Publication(
            settings=settings,
            registry=Registry(settings.hub.mlflow_url, trusted),
            trusted=trusted,
            model="atoms",
            trigger_id=trigger_id,
            policy="drift",
            workspace=workspace,
        )

    said: list[str] = []
    with microscope(context, agent_port), edge.running(context):
        fast = publication("fast", 1)
        verdict = try_out(fast, JUDGED, Gates(latency_p99_ms_max=1e6), said.append)
        assert verdict.accepted
        assert [check.name for check in verdict.checks] == ["latency at the edge"]
        page = (fast.workspace.folder / "evidence" / "comparison.html").read_text()
        assert "latency measured at edge-1" in page
        assert "latency_p99_ms" in page
        assert any("ms p99" in line for line in said)
        # A trial that was made is not made again, whatever the edge does now.
        assert try_out(fast, JUDGED, Gates(latency_p99_ms_max=1e6), said.append) == verdict

        slow = publication("slow", 2)
        verdict = try_out(slow, JUDGED, Gates(latency_p99_ms_max=1e-6), said.append)
        assert not verdict.accepted
        assert "99th percentile of the latency, measured at the edge, is" in verdict.sentence
        assert edge.status()["model_version"] is None


def test_what_was_not_measured_passes_no_limit() -> None:
    from eucentric_model_registry import Figures, with_behaviour

    gate = MetricGate(metric="latency_p99_ms", holdout="edge", at_most=10.0)
    verdict = with_behaviour(JUDGED.verdict, Figures(holdouts={}), None, [gate])
    assert not verdict.accepted
    assert "unknown, it was not measured" in verdict.sentence
