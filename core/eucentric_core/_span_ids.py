"""Ids of spans: random ones, but for the root of a trace. Imports OpenTelemetry."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from ._trace import root_span_id

__all__ = ["RootIds"]

_root: ContextVar[str | None] = ContextVar("root_trace", default=None)


class RootIds(RandomIdGenerator):
    """Gives the next span that is begun inside `of_root` the ids of the root of a trace."""

    @contextmanager
    def of_root(self, trace_id: str) -> Iterator[None]:
        """The span that is begun inside is the root of this trace."""
        token = _root.set(trace_id)
        try:
            yield
        finally:
            _root.reset(token)

    def used(self) -> None:
        """The root was begun: what follows gets random ids again."""
        _root.set(None)

    def generate_trace_id(self) -> int:
        """128 bits."""
        trace_id = _root.get()
        return super().generate_trace_id() if trace_id is None else int(trace_id, 16)

    def generate_span_id(self) -> int:
        """64 bits."""
        trace_id = _root.get()
        return super().generate_span_id() if trace_id is None else int(root_span_id(trace_id), 16)
