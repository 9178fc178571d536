"""One name for all that one trigger leads to, on every machine: the trace id."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["TraceFilter", "current_trace_id", "root_span_id", "trace_id_of", "tracing"]

_W3C = re.compile(r"[0-9a-f]{32}")
_NONE = "0" * 32

_here: ContextVar[str | None] = ContextVar("trace_id", default=None)
_process: list[str] = []


def trace_id_of(trigger_id: str) -> str:
    """The trace id of a trigger: 32 hexadecimal digits, as W3C Trace Context wants them.

    Whoever knows the trigger knows the trace: events carry the trigger's id, the record of runs is kept by
    it, and the signed bundle names it, so the edge can tell which trace it continues without being told. A
    trigger id that is such a number already (every event's is) is its own trace id; any other is hashed.
    """
    if _W3C.fullmatch(trigger_id) and trigger_id != _NONE:
        return trigger_id
    return hashlib.sha256(trigger_id.encode()).hexdigest()[:32]


def root_span_id(trace_id: str) -> str:
    """The id of a trace's first span, 16 hexadecimal digits: whoever knows the trace can name its parent."""
    return hashlib.sha256(f"root of {trace_id}".encode()).hexdigest()[:16]


def current_trace_id() -> str | None:
    """The trace that this code is part of; None outside every trace."""
    return _here.get() or (_process[-1] if _process else None)


@contextmanager
def tracing(trace_id: str | None, *, whole_process: bool = False) -> Iterator[None]:
    """What happens inside is part of a trace; None changes nothing.

    Args:
        trace_id: see `trace_id_of`.
        whole_process: threads that are begun elsewhere belong to it, too: for a process that does one thing.
    """
    if trace_id is None:
        yield
        return
    token = _here.set(trace_id)
    if whole_process:
        _process.append(trace_id)
    try:
        yield
    finally:
        _here.reset(token)
        if whole_process:
            _process.remove(trace_id)


class TraceFilter(logging.Filter):
    """Writes the current trace id onto every record of a log."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record through."""
        trace_id = current_trace_id()
        if trace_id is not None and not hasattr(record, "trace_id"):
            record.trace_id = trace_id
        return True
