"""All that the processes of this machine wrote about one run, in the order in which it happened."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator
from pathlib import Path

__all__ = ["log_lines"]

_MOST_FILES = 200


def log_lines(logs: Path, trace_id: str) -> Iterator[dict[str, object]]:
    """Lines of every structured log below a folder that belong to a trace, oldest first.

    A line that cannot be read (cut short by a crash) is passed over.
    """
    files = sorted(logs.rglob("*.jsonl*"))[:_MOST_FILES]
    return heapq.merge(*(_of_trace(path, trace_id) for path in files), key=lambda line: str(line.get("time")))


def _of_trace(path: Path, trace_id: str) -> Iterator[dict[str, object]]:
    with path.open(encoding="utf-8", errors="replace") as lines:
        for text in lines:
            if trace_id not in text:
                continue
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if isinstance(line, dict) and line.get("trace_id") == trace_id:
                yield line
