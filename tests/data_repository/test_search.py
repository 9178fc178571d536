"""Data sets are found by what their frames' headers say, and by what people said about them."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from eucentric_core import ConfigurationError, DataFormatError, Optics, UnsupportedError
from eucentric_data_repository import Bounds, Curator, SearchQuery, load_metadata_schema

from ..frames import frame_around

FIRST = datetime(2026, 11, 1, 12, tzinfo=UTC)


def optics(high_tension_v: float, field_of_view_m: float) -> Optics:
    return Optics(
        high_tension_v=high_tension_v,
        beam_current_a=None,
        convergence_angle_rad=0.025,
        defocus_m=-1e-8,
        field_of_view_m=field_of_view_m,
        dwell_time_s=2e-6,
    )


@pytest.fixture
def filled(repository: Any, sender: Any) -> Any:
    """Three data sets: gold at 200 kV, gold at 60 kV a day later, graphene a week later."""
    for days, (session, material, sample, volts, width_m) in enumerate(
        [
            ("au-1", "gold", "grid-1", 200e3, 10e-9),
            ("au-2", "gold", "grid-2", 60e3, 30e-9),
            ("gr-1", "graphene", "grid_2", 60e3, 5e-9),
        ]
    ):
        for index in range(2):
            frames = [
                frame_around(
                    np.zeros((4, 6), np.uint16),
                    2 * index + n,
                    session=session,
                    material=material,
                    sample=sample,
                    simulated=session == "gr-1",
                    optics=optics(volts, width_m * (1 + index)),
                    acquired_utc=FIRST + timedelta(days=days, minutes=2 * index + n),
                )
                for n in range(2)
            ]
            sender.deliver(sender.seal_frames(frames, index=index))
    repository.ingest()
    return repository


def found(repository: Any, **query: Any) -> list[str]:
    with repository.catalogue() as catalogue:
        result = catalogue.search(SearchQuery(**query))
    assert result.total >= len(result.datasets)
    return [entry.session for entry in result.datasets]


QUERIES: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["gr-1", "au-2", "au-1"]),
    ({"order": "oldest"}, ["au-1", "au-2", "gr-1"]),
    ({"order": "name"}, ["au-1", "au-2", "gr-1"]),
    ({"material": "gold"}, ["au-2", "au-1"]),
    ({"material": "GOLD"}, []),
    ({"sample": "grid-1"}, ["au-1"]),
    ({"instrument": "twin", "session": "au-2"}, ["au-2"]),
    ({"simulated": True}, ["gr-1"]),
    ({"simulated": False}, ["au-2", "au-1"]),
    ({"state": "complete"}, []),
    ({"stream": "haadf"}, ["gr-1", "au-2", "au-1"]),
    ({"stream": "eels"}, []),
    ({"software": "EUCENTRIC 0.T"}, ["gr-1", "au-2", "au-1"]),
    ({"software": "%"}, []),
    ({"since": FIRST + timedelta(days=1)}, ["gr-1", "au-2"]),
    ({"since": FIRST + timedelta(minutes=3)}, ["gr-1", "au-2", "au-1"]),
    ({"since": FIRST + timedelta(minutes=4)}, ["gr-1", "au-2"]),
    ({"until": FIRST + timedelta(days=1)}, ["au-1"]),
    ({"quantities": {"high_tension_v": Bounds(minimum=199e3, maximum=201e3)}}, ["au-1"]),
    ({"quantities": {"high_tension_v": Bounds(maximum=60e3)}}, ["gr-1", "au-2"]),
    ({"quantities": {"field_of_view_m": Bounds(minimum=15e-9, maximum=16e-9)}}, ["au-1"]),
    ({"quantities": {"field_of_view_m": Bounds(maximum=5e-9)}}, ["gr-1"]),
    ({"quantities": {"beam_current_a": Bounds(minimum=0)}}, []),
    ({"text": "GRID_"}, ["gr-1"]),
    ({"text": "grid-"}, ["au-2", "au-1"]),
    ({"text": "' OR 1=1 --"}, []),
    ({"text": "100%"}, []),
]


def test_everything_that_is_given_must_fit(filled: Any) -> None:
    for query, sessions in QUERIES:
        assert found(filled, **query) == sessions, query


def test_pages_follow_each_other_without_gap(filled: Any) -> None:
    with filled.catalogue() as catalogue:
        pages = [catalogue.search(SearchQuery(limit=1, offset=offset)) for offset in range(4)]
    assert [page.total for page in pages] == [3] * 4
    assert [entry.session for page in pages for entry in page.datasets] == ["gr-1", "au-2", "au-1"]


def test_a_data_set_shows_what_its_shards_say_together(filled: Any) -> None:
    with filled.catalogue() as catalogue:
        details = catalogue.dataset("twin.au-1")
        with pytest.raises(ConfigurationError, match=r"no data set 'twin\.nothing'"):
            catalogue.dataset("twin.nothing")
    ranges = {found.name: (found.minimum, found.maximum) for found in details.quantities}
    assert ranges["field_of_view_m"] == (10e-9, 20e-9)
    assert ranges["high_tension_v"] == (200e3, 200e3)
    assert ranges["pixel_size_m"] == (2e-11, 2e-11)
    assert ranges["defocus_m"] == (-1e-8, -1e-8)
    assert "beam_current_a" not in ranges
    (stream,) = details.streams
    assert (stream.stream, stream.frames, stream.shape, stream.dtype, stream.uniform) == (
        "haadf",
        4,
        (4, 6),
        "uint16",
        True,
    )
    assert details.entry.first_acquired_utc == FIRST
    assert details.entry.last_acquired_utc == FIRST + timedelta(minutes=3)
    assert details.software == ("eucentric 0.test",)


def test_a_stream_whose_frames_differ_says_so(repository: Any, sender: Any) -> None:
    frames = [frame_around(np.zeros((2, n + 1), np.uint8), n) for n in range(3)]
    sender.deliver(sender.seal_frames(frames))
    repository.ingest()
    with repository.catalogue() as catalogue:
        (stream,) = catalogue.dataset("twin.s1").streams
    assert (stream.shape, stream.uniform) == ((2, 3), False)


def test_tags_notes_and_metadata_are_searched(filled: Any) -> None:
    with Curator(filled.database, by="ada") as curator:
        for _ in range(2):
            curator.tag("twin.au-1", ["good", "for paper"])
            curator.tag("twin.au-2", ["good"])
            curator.note("twin.gr-1", "drifts a little; 5 % of the frames")
            curator.annotate("twin.au-2", {"operator": "Grace", "project": "catalysis"})
    assert found(filled, tags=("good",)) == ["au-2", "au-1"]
    assert found(filled, tags=("good", "for paper")) == ["au-1"]
    assert found(filled, text="DRIFTS") == ["gr-1"]
    assert found(filled, text="5 %") == ["gr-1"]
    assert found(filled, text="Catalysis") == ["au-2"]
    assert found(filled, operator="Grace") == ["au-2"]
    with filled.catalogue() as catalogue:
        assert [note.by for note in catalogue.dataset("twin.gr-1").notes] == ["ada"]
        assert catalogue.dataset("twin.au-1").entry.tags == ("for paper", "good")
    with Curator(filled.database, by="ada") as curator:
        curator.untag("twin.au-1", ["good", "never there"])
        curator.annotate("twin.au-2", {"operator": "Grace"})
    assert found(filled, tags=("good",)) == ["au-2"]
    # What was replaced is history, and not found any more.
    assert found(filled, text="Catalysis") == []


def test_a_tag_is_plain(filled: Any) -> None:
    with Curator(filled.database, by="ada") as curator:
        for tag in ("", " ", "a\nb", "x" * 65, "a;b", "ü", "a/b", "../x", "a "):
            with pytest.raises(DataFormatError, match="no tag"):
                curator.tag("twin.au-1", ["fine", tag])
    with filled.catalogue() as catalogue:
        assert catalogue.dataset("twin.au-1").entry.tags == ()


def test_only_what_is_in_the_catalogue_can_be_described(filled: Any) -> None:
    with Curator(filled.database, by="ada") as curator:
        for say in (
            lambda: curator.tag("twin.x", ["a"]),
            lambda: curator.note("twin.x", "a"),
            lambda: curator.annotate("twin.x", {}),
            lambda: curator.hold("twin.x", "a"),
        ):
            with pytest.raises(ConfigurationError, match="no data set"):
                say()


SCHEMA = {
    "type": "object",
    "required": ["project"],
    "properties": {"project": {"type": "string"}, "cost_eur": {"type": "number", "minimum": 0}},
    "additionalProperties": False,
}


def test_metadata_are_what_the_sites_schema_asks_for_or_nothing_is_written(
    filled: Any, tmp_path: Any
) -> None:
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(SCHEMA))
    schema = load_metadata_schema(path)
    with Curator(filled.database, by="ada") as curator:
        curator.annotate("twin.au-1", {"project": "p"}, schema=schema)
        with pytest.raises(
            DataFormatError, match=r"\$\.cost_eur: -1 is less.*\$\.project: 5 is not"
        ) as caught:
            curator.annotate("twin.au-1", {"project": 5, "cost_eur": -1}, schema=schema)
        assert "unchanged" in caught.value.safe
        merged = curator.annotate("twin.au-1", {"cost_eur": 2}, schema=schema, merge=True)
        assert merged == {"project": "p", "cost_eur": 2}
        with pytest.raises(DataFormatError, match="no JSON"):
            curator.annotate("twin.au-1", {"project": "p", "cost_eur": float("nan")})
        with pytest.raises(DataFormatError, match="NUL"):
            curator.annotate("twin.au-1", {"project": "a\x00b"})
    with filled.catalogue() as catalogue:
        annotation = catalogue.dataset("twin.au-1").annotation
    assert annotation is not None
    assert (annotation.document, annotation.schema_sha256) == ({"project": "p", "cost_eur": 2}, schema.sha256)


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "no JSON"), ("[]", "no JSON object"), ('{"type": "strnig"}', "no JSON Schema"), (None, "read")],
)
def test_a_schema_that_is_none_is_refused(tmp_path: Any, text: str | None, said: str) -> None:
    path = tmp_path / "schema.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigurationError, match=said):
        load_metadata_schema(path)


def test_a_schema_that_points_to_another_machine_downloads_nothing(tmp_path: Any) -> None:
    asked: list[str] = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        path = tmp_path / "schema.json"
        path.write_text(json.dumps({"$ref": f"http://127.0.0.1:{server.server_port}/schema.json"}))
        try:
            with pytest.raises(ConfigurationError, match="not in it"):
                load_metadata_schema(path).require_valid({})
        finally:
            server.shutdown()
            thread.join()
    assert asked == []


def test_without_jsonschema_the_way_out_is_named(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "schema.json"
    path.write_text("{}")
    monkeypatch.setitem(__import__("sys").modules, "jsonschema", None)
    with pytest.raises(UnsupportedError, match="jsonschema"):
        load_metadata_schema(path)
