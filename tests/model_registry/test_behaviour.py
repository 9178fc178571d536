"""How a challenger behaves, the gates on that, and the page on which a person reads the decision."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from securesystemslib.signer import CryptoSigner

from eucentric_core import claimed_manifest
from eucentric_model_registry import (
    Figure,
    Figures,
    Gates,
    MetricGate,
    PageHeader,
    Verdict,
    build_and_sign_bundle,
    comparison_page,
    judge_figures,
    measure_behaviour,
    side_by_side,
    with_behaviour,
)
from eucentric_model_registry._behaviour import unfamiliar_images
from eucentric_models.engines import EngineModel, ModelDescription, engine_named

from .contents import make_content, make_image

SAMPLES = [(make_image(seed), 1e-11) for seed in (5, 6)]
ACCEPTED = judge_figures(
    Figures(holdouts={"recent": {"f1": Figure(value=0.9)}}), None, [MetricGate(metric="f1", at_least=0.5)]
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "bundle"
    build_and_sign_bundle(folder, make_content(), CryptoSigner.generate_ed25519())
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> EngineModel:
    manifest = claimed_manifest(folder)
    return engine_named(manifest.engine).open(folder, ModelDescription.of_manifest(manifest))


def test_speed_golden_chips_and_unfamiliar_frames_are_measured(model: EngineModel, folder: Path) -> None:
    found = measure_behaviour(model, SAMPLES, champion=model, champion_folder=folder)
    p50, p99 = (found.get("target", f"latency_{p}_ms") for p in ("p50", "p99"))
    assert p50 is not None
    assert p99 is not None
    assert 0 < (p50.value or 0) <= (p99.value or 0)
    difference = found.get("golden", "difference_to_champion")
    assert difference is not None
    assert difference.value == pytest.approx(0, abs=1e-5)
    flagged = found.get("unfamiliar", "flagged_share")
    assert flagged is not None
    assert 0 <= (flagged.value or 0) <= 1
    assert flagged.support == 4


def test_without_images_nothing_is_measured_and_no_limit_is_passed(model: EngineModel) -> None:
    nothing = measure_behaviour(model, [])
    assert nothing.holdouts == {}
    gate = MetricGate(metric="latency_p99_ms", holdout="target", at_most=1000.0)
    assert not with_behaviour(ACCEPTED, nothing, None, [gate]).accepted


@pytest.mark.parametrize(("at_most", "accepted"), [(12.0, True), (8.0, False)])
def test_a_good_but_slow_challenger_is_rejected(at_most: float, accepted: bool) -> None:
    behaviour = Figures(holdouts={"target": {"latency_p99_ms": Figure(value=10.0, unit="ms")}})
    gates = Gates(metrics=(MetricGate(metric="latency_p99_ms", holdout="target", at_most=at_most),))
    assert gates.on_data == ()
    verdict = with_behaviour(ACCEPTED, behaviour, None, gates.on_behaviour)
    assert verdict.accepted is accepted
    assert len(verdict.checks) == 2
    if not accepted:
        assert "1 of 2 gates failed: latency_p99_ms on target is 10.000 ms" in verdict.sentence


def test_good_behaviour_mends_no_bad_score() -> None:
    rejected = Verdict(accepted=False, checks=ACCEPTED.checks, sentence="Rejected: no.")
    behaviour = Figures(holdouts={"target": {"latency_p99_ms": Figure(value=1.0)}})
    gate = MetricGate(metric="latency_p99_ms", holdout="target", at_most=5.0)
    verdict = with_behaviour(rejected, behaviour, None, [gate])
    assert (verdict.accepted, verdict.sentence) == (False, "Rejected: no.")


def test_unfamiliar_frames_are_as_bright_as_usual_ones() -> None:
    frames = unfamiliar_images((64, 48), mean=30.0)
    assert all(frame.shape == (64, 48) for frame in frames)
    assert [float(np.mean(frame)) for frame in frames[:3]] == pytest.approx([30.0] * 3, rel=0.1)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def test_the_page_shows_both_models_on_the_same_images_and_fetches_nothing(model: EngineModel) -> None:
    pairs = side_by_side(SAMPLES, model, model)
    figures = Figures(holdouts={"recent": {"f1": Figure(value=0.91, support=400)}})
    header = PageHeader("atoms", "v7", "v6", ("data sets: twin.s1",))
    page = comparison_page(header, ACCEPTED, figures, figures, pairs)
    tags = _Tags()
    tags.feed(page)
    pictures = [attributes["src"] or "" for tag, attributes in tags.seen if tag == "img"]
    assert len(pictures) == 4
    assert all(source.startswith("data:image/png;base64,iVBOR") for source in pictures)
    assert not re.search(r"(src|href)=['\"]?https?:", page)
    assert "script" not in {tag for tag, _ in tags.seen}
    for words in ("challenger v7 against champion v6", ACCEPTED.sentence, "0.910", "400", "twin.s1"):
        assert words in page


def test_what_others_wrote_is_text_on_the_page(model: EngineModel) -> None:
    header = PageHeader("atoms", "v1", None, ("<script>alert(1)</script>",))
    verdict = ACCEPTED.model_copy(update={"sentence": "<img src=x onerror=alert(1)>"})
    page = comparison_page(
        header, verdict, Figures(holdouts={}), None, side_by_side(SAMPLES[:1], model, None)
    )
    tags = _Tags()
    tags.feed(page)
    assert "script" not in {tag for tag, _ in tags.seen}
    assert sum(tag == "img" for tag, _ in tags.seen) == 1
    assert "no champion" in page
