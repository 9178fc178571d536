"""The chronicle: every fact of the ledger in an append-only file beside it, each with a checksum.

A database that lost a page has lost what was in it; here a damaged byte costs one fact. A fact counts once it
is flushed; the database follows.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from eucentric_core import fsync_directory

from ._ledger_facts import ClosedFact, Fact, parse_fact
from ._record import scan_file
from ._record_format import JOURNAL

__all__ = ["Chronicle"]


class Chronicle:
    """The file. Its owner holds the ledger's lock.

    Args:
        path: of the file; need not exist. An unfinished fact at its end, which never counted, is cut off.

    Raises:
        OSError: the disk failed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.exists = path.exists()
        self.damaged = False
        self.facts: list[Fact] = []
        """What was in it when it was opened, in order; see `forget`."""
        self._cut_to: int | None = None
        if self.exists:
            self._read()
        self._file = path.open("ab", buffering=0)
        self._size_bytes = self._file.seek(0, os.SEEK_END)

    def _read(self) -> None:
        found = scan_file(self.path, JOURNAL)
        self.damaged = bool(found.damaged)
        last_closed: dict[int, int] = {}
        with self.path.open("r+b", buffering=0) as file:
            for record in found.records:
                file.seek(record.payload_offset)
                try:
                    fact = parse_fact(file.read(record.payload_bytes))
                except ValidationError:
                    self.damaged = True
                    continue
                if isinstance(fact, ClosedFact):
                    last_closed[fact.session_id] = len(self.facts)
                self.facts.append(fact)
            if found.torn_from is not None:
                file.truncate(found.torn_from)
                os.fsync(file.fileno())
        # Of a session that was closed again because the database failed, the last time counts.
        self.facts = [
            fact
            for at, fact in enumerate(self.facts)
            if not isinstance(fact, ClosedFact) or last_closed[fact.session_id] == at
        ]

    def forget(self) -> None:
        """Let go of the facts in memory."""
        self.facts = []

    def append(self, fact: Fact) -> int:
        """Write a fact down, durably; where it begins, for `cut`.

        Raises:
            OSError: it is not written, and nothing of it is left, or will be before the next one is.
        """
        if self._cut_to is not None:
            self.cut(self._cut_to)
        begin = self._size_bytes
        text = fact.model_dump_json().encode()
        content = memoryview(JOURNAL.encode(fact.kind.encode(), text))
        try:
            while content:
                written = self._file.write(content)
                self._size_bytes += written
                content = content[written:]
            getattr(os, "fdatasync", os.fsync)(self._file.fileno())
            if not self.exists:
                fsync_directory(self.path.parent)
                self.exists = True
        except BaseException:
            self.cut(begin)
            raise
        return begin

    def cut(self, begin: int) -> None:
        """Take back what was appended from there on: the database did not follow.

        Raises:
            OSError: it is taken back before the next fact is appended.
        """
        self._cut_to = begin
        self._file.truncate(begin)
        os.fsync(self._file.fileno())
        self._cut_to, self._size_bytes = None, begin

    def rewrite(self, facts: Iterable[Fact]) -> None:
        """Begin anew with these facts; all or nothing.

        Raises:
            OSError: the disk failed; what was there counts.
        """
        part = self.path.with_suffix(".part")
        with part.open("wb") as file:
            for fact in facts:
                file.write(JOURNAL.encode(fact.kind.encode(), fact.model_dump_json().encode()))
            file.flush()
            os.fsync(file.fileno())
        self._file.close()
        try:
            part.replace(self.path)
            fsync_directory(self.path.parent)
        finally:
            self._file = self.path.open("ab", buffering=0)
            self._size_bytes = self._file.seek(0, os.SEEK_END)
        self.exists, self.damaged, self._cut_to = True, False, None

    def close(self) -> None:
        """Close the file."""
        self._file.close()
