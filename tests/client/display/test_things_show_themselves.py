"""Everything of this project shows itself in a notebook, and text from outside stays text."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import numpy as np
import pytest

import eucentric
from eucentric_core import (
    Capabilities,
    DatasetManifest,
    ErrorReport,
    Frame,
    FrozenModel,
    LeaseStatus,
    Lineage,
    Optics,
    Shard,
    StagePosition,
    html_of,
)
from eucentric_core.vocabulary import InstrumentState
from eucentric_data_repository import DatasetEntry, SearchResult
from eucentric_flows import RunView, StageView, WaitView
from eucentric_flows.engine import DecisionView, StepView
from eucentric_model_registry import Promotion, RegisteredVersion
from eucentric_models.surrogate import AcquisitionLog, AcquisitionRecord

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
HOSTILE = "<script>alert('x')</script><img src=x onerror=alert(1)>\"'&"
HASH = "ab" * 32


class Tags(HTMLParser):
    """The elements and attributes of a piece of HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def read(shown: str) -> Tags:
    tags = Tags()
    tags.feed(shown)
    return tags


def capabilities(text: str) -> Capabilities:
    return Capabilities(
        instrument="titan",
        model=text,
        simulated=True,
        verbs=("state.get", text),
        streams=("haadf",),
        notes=text,
        untested_on_hardware=True,
    )


def lease(text: str) -> LeaseStatus:
    return LeaseStatus(holder=text, epoch=3, remaining_s=7.0, reason=text, wanted_by=(text,), offered_to=text)


def report(text: str) -> ErrorReport:
    return ErrorReport(code="failed", what=text, safe=text, next_step=text)


def state(text: str) -> InstrumentState:
    return InstrumentState(
        session="s1",
        scanning=True,
        beam_blanked=False,
        next_sequence=12,
        stage=StagePosition(x_m=1e-9, y_m=0, z_m=0, alpha_rad=0, beta_rad=0),
        optics=Optics(
            high_tension_v=200e3,
            beam_current_a=20e-12,
            convergence_angle_rad=0.02,
            defocus_m=0.0,
            field_of_view_m=8e-9,
            dwell_time_s=None,
        ),
        dose_e_per_a2=120.0,
        simulated=True,
        fault=report(text),
        age_s=2.0,
    )


def shard(index: int = 0) -> Shard:
    return Shard(
        instrument="twin",
        session="s1",
        index=index,
        first_sequence=10 * index,
        last_sequence=10 * index + 9,
        frames=10,
        streams=("haadf",),
        sha256=HASH,
        size_bytes=2_500_000,
        sealed_utc=NOW,
        simulated=True,
    )


def manifest(text: str) -> DatasetManifest:
    return DatasetManifest(
        instrument="twin", session="s1", shards=(shard(0), shard(1)), missing_sequences=(7,), closed_utc=NOW
    )


def entry(text: str) -> DatasetEntry:
    return DatasetEntry(
        dataset_id="twin.s1",
        instrument="twin",
        session="s1",
        sample=None,
        material="gold",
        simulated=True,
        state="complete",
        shards=2,
        frames=20,
        size_bytes=5_000_000,
        missing=1,
        first_registered_utc=NOW,
        completed_utc=NOW,
        tags=(text,),
    )


def found(text: str) -> SearchResult:
    return SearchResult(total=3, offset=0, datasets=(entry(text),))


def lineage(text: str) -> Lineage:
    return Lineage(
        datasets=(text,), code_version="1", trigger_id="t1", policy=text, run_id=text, trained_from=text
    )


def version(text: str) -> RegisteredVersion:
    return RegisteredVersion(
        name="atoms",
        version=7,
        run_id="r",
        envelope_sha256=HASH,
        lineage=lineage(text),
        metrics={"f1": 0.95, text: 1.0},
        registered_utc=NOW,
        aliases=("champion", text),
    )


def promotion(text: str) -> Promotion:
    return Promotion(name="atoms", version=7, previous_version=6, reason=text, who=text, promoted_utc=NOW)


def run(text: str) -> RunView:
    later = NOW + timedelta(seconds=30)
    return RunView(
        trigger_id=text,
        kind="retrain",
        policy=text,
        model="atoms",
        triggered_by="policy",
        flow_run_id=None,
        attempt=1,
        state="failed",
        reason=text,
        version=7,
        requested_utc=NOW,
        started_utc=NOW,
        ended_utc=later + timedelta(seconds=60),
        heartbeat_age_s=1.0,
        stages=(
            StageView(name="gather", attempt=1, started_utc=NOW, ended_utc=later, message=text, error=None),
            StageView(
                name=text, attempt=1, started_utc=later, ended_utc=None, message="", error=report(text)
            ),
        ),
        request={},
        waits=(WaitView(stage="gather", attempt=1, reason=text, began_utc=NOW, ended_utc=later),),
    )


def decision(text: str) -> DecisionView:
    return DecisionView(
        policy=text,
        occurrence=text,
        event_kind="drift.detected",
        status="fired",
        reason=text,
        decided_utc=NOW,
        until_utc=NOW,
        trigger_id=text,
        ordered_utc=NOW,
        steps=(StepView(at_utc=NOW, status="fired", reason=text),),
    )


def search(text: str) -> AcquisitionLog:
    record = {"y_px": 3, "x_px": 4, "chosen_by": text}
    return AcquisitionLog(
        records=(
            AcquisitionRecord(number=0, value=0.5, **record),
            AcquisitionRecord(number=1, value=0.75, **record),
        )
    )


class SomethingElse(FrozenModel):
    """A model that no module of the display knows."""

    dwell_time_s: float
    remark: str


KINDS: dict[str, tuple[Callable[[str], object], tuple[str, ...]]] = {
    "capabilities": (capabilities, ("titan", "SIMULATED", "untested on hardware", "haadf")),
    "lease": (lease, ("7 s", "steers")),
    "state": (state, ("SIMULATED", "ON", "8 nm", "120 e/Å²", "2.0 s ago")),
    "error": (report, ("what happened", "safe", "next")),
    "manifest": (manifest, ("twin.s1", "SIMULATED", "20", "1: 7", "2.5 MB", HASH[:12])),
    "shard": (lambda text: shard(), ("twin_s1_000000", "SIMULATED", "0 to 9")),
    "data set": (entry, ("twin.s1", "SIMULATED", "gold", "20, 1 missing")),
    "search": (found, ("3 data sets", "twin.s1", "SIMULATED")),
    "version": (version, ("atoms version 7", "champion", "f1 0.95")),
    "promotion": (promotion, ("atoms version 7", "promoted", "version 6")),
    "run": (run, ("retrain", "failed", "gather", "what happened")),
    "decision": (decision, ("fired", "drift.detected")),
    "search log": (search, ("0.75", "measurements", "2")),
    "anything": (lambda text: SomethingElse(dwell_time_s=1e-6, remark=text), ("dwell_time_s", "1e-06")),
}

WITHOUT_TEXT_FROM_OUTSIDE = {"manifest", "search", "shard"}


@pytest.mark.parametrize("kind", KINDS)
def test_it_says_what_a_person_wants_to_know(kind: str) -> None:
    make, expected = KINDS[kind]
    shown = html_of(make("ordinary"))
    assert shown is not None
    assert [words for words in expected if words not in read(shown).text] == []
    assert make("ordinary")._repr_html_() == shown  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", KINDS)
def test_text_from_outside_stays_text(kind: str) -> None:
    thing = KINDS[kind][0](HOSTILE)
    shown = read(html_of(thing) or "")
    assert shown.tags <= {"div", "b", "span", "table", "tr", "td", "th", "ul", "li", "small"} | {
        "svg", "g", "title", "text", "rect",
    }  # fmt: skip
    assert {name for name in shown.attributes if name.startswith("on") or name in ("src", "href")} == set()
    if kind not in WITHOUT_TEXT_FROM_OUTSIDE:
        assert "<script>" in shown.text


def test_long_text_and_long_lists_are_cut_and_say_so() -> None:
    shown = html_of(promotion("long " * 10_000)) or ""
    assert len(shown) < 5_000
    assert "…" in shown
    many = manifest("").model_copy(update={"shards": tuple(shard(index) for index in range(500))})
    assert "and 460 more" in (html_of(many) or "")


def test_a_frame_is_a_picture_and_a_hostile_name_in_it_is_text(make_frame: Callable[..., Frame]) -> None:
    frame = make_frame(sequence=3)
    shown = read(frame._repr_html_() or "")
    assert "SIMULATED" in shown.text
    assert "img" in shown.tags
    labelled = eucentric.Measurement(frame.header, frame.array)
    assert labelled._repr_html_() == frame._repr_html_()


def test_a_cube_is_told_but_not_drawn(make_frame: Callable[..., Frame]) -> None:
    frame = make_frame(sequence=3)
    header = frame.header.model_copy(update={"shape": (2, 3, 4), "dtype": "float32", "axes": ()})
    shown = Frame(header, np.zeros((2, 3, 4), np.float32))._repr_html_() or ""
    assert "[2, 3, 4]" in shown
    assert "<img" not in shown


def test_a_run_under_way_says_what_it_waits_for() -> None:
    waiting = run("a node").model_copy(
        update={
            "state": "running",
            "ended_utc": None,
            "version": None,
            "waits": (WaitView(stage="gather", attempt=1, reason="a node", began_utc=NOW, ended_utc=None),),
        }
    )
    shown = read(eucentric.display.run_card(waiting, NOW + timedelta(seconds=60)))
    assert "a node, since 60 s" in shown.text
    assert "last sign of life" in shown.text


def test_things_of_others_are_left_alone() -> None:
    assert html_of("text") is None
    assert html_of(3) is None


def test_where_no_notebook_imports_the_client_things_stay_plain() -> None:
    code = (
        "import eucentric_core as c; print(c.LeaseStatus(holder=None, epoch=0, remaining_s=0)._repr_html_())"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert told.stdout == "None\n"


def test_a_search_is_drawn_on_its_image() -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    figure = eucentric.plot_search(search("ei"), np.zeros((8, 8)), quantity="share")
    assert [axes.get_ylabel() for axes in figure.axes[:2]] == ["y (px)", "share"]
    pyplot.close(figure)
