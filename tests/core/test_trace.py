"""One name for all that one trigger leads to: in logs, events, spans and the steering audit."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from eucentric_core import (
    ModelPromoted,
    SessionStarted,
    configure_logging,
    current_trace_id,
    span,
    spans_wanted,
    trace_id_of,
    tracing,
)

TRACE = "5" * 32


def test_an_event_begins_the_trace_that_carries_its_own_id() -> None:
    event = SessionStarted(source="agent", instrument="twin", session="s")
    assert trace_id_of(event.id) == event.trace_id == event.id
    later = ModelPromoted(
        source="flows", model_name="atoms", model_version=2, reason="better", trace_id=trace_id_of(event.id)
    )
    assert later.trace_id == event.id != later.id


@pytest.mark.parametrize("trigger_id", ["bootstrap-atoms", "0" * 32, "A" * 32, "f" * 31, ""])
def test_a_trigger_that_is_no_trace_id_has_one_of_its_own(trigger_id: str) -> None:
    trace_id = trace_id_of(trigger_id)
    assert len(trace_id) == 32
    assert int(trace_id, 16) != 0
    assert trace_id == trace_id_of(trigger_id) != trigger_id


def test_the_trace_ends_with_its_block_and_reaches_threads_where_asked() -> None:
    seen: list[str | None] = []
    with tracing(TRACE):
        thread = threading.Thread(target=lambda: seen.append(current_trace_id()))
        thread.start()
        thread.join()
        assert current_trace_id() == TRACE
    with tracing(TRACE, whole_process=True):
        thread = threading.Thread(target=lambda: seen.append(current_trace_id()))
        thread.start()
        thread.join()
    assert seen == [None, TRACE]
    assert current_trace_id() is None


def test_every_line_of_a_log_names_its_trace(tmp_path: Path) -> None:
    root = logging.getLogger()
    level, before = root.level, list(root.handlers)
    path = configure_logging("some", tmp_path)
    try:
        logging.getLogger("eucentric_core").info("outside")
        with span("work", TRACE):
            logging.getLogger("eucentric_core").info("inside")
    finally:
        root.setLevel(level)
        for handler in [handler for handler in root.handlers if handler not in before]:
            root.removeHandler(handler)
            handler.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line.get("trace_id") for line in lines] == [None, TRACE]


def test_without_settings_of_opentelemetry_no_span_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    assert not spans_wanted()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    assert spans_wanted()
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    assert not spans_wanted()


def test_spans_of_processes_that_know_the_trigger_alone_join_in_one_trace() -> None:
    pytest.importorskip("opentelemetry.sdk")
    programs = (
        "with core.root_span('run', trace):\n  with core.span('train'): pass\n",
        "with core.span('edge.install', trace): pass\n",
    )
    spans = []
    for program in programs:
        begin = "import eucentric_core as core\ntrace = core.trace_id_of('a trigger')\n"
        text = f"{begin}{program}core.flush_spans()"
        done = subprocess.run(
            [sys.executable, "-c", text],
            env={**os.environ, "OTEL_TRACES_EXPORTER": "console"},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        decoder, rest = json.JSONDecoder(), done.stdout.strip()
        while rest:
            found, end = decoder.raw_decode(rest)
            spans.append(found)
            rest = rest[end:].strip()
    by_name = {found["name"]: found for found in spans}
    root = by_name["run"]["context"]
    assert {found["context"]["trace_id"] for found in spans} == {f"0x{trace_id_of('a trigger')}"}
    assert by_name["run"]["parent_id"] is None
    assert by_name["edge.install"]["parent_id"] == by_name["train"]["parent_id"] == root["span_id"]
