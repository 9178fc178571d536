"""Where each key of a TOML text stands. The text has been read by `tomllib` before, so it is valid."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["KeyPath", "Place", "Position", "places", "position_at"]

KeyPath = tuple[str | int, ...]
"""Keys of tables and places in arrays, from the top of the document."""

Position = tuple[int, int]
"""Line and column, both counted from 1."""

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY_PART = re.compile(r"""[ \t]*("(?:[^"\\]|\\.)*"|'[^']*'|[A-Za-z0-9_-]+)[ \t]*""")
_STRING = re.compile(r'''"""(?:[^\\]|\\.)*?"{3,5}|\'{3}.*?\'{3,5}|"(?:[^"\\]|\\.)*"|'[^']*\'''', re.DOTALL)
_PLAIN = re.compile(r"[^,\]}#\r\n]+")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a key stands, and where its value begins; a table's value begins at its name."""

    key: Position
    value: Position


def position_at(text: str, offset: int) -> Position:
    """Line and column of a character."""
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


def places(text: str) -> Mapping[KeyPath, Place]:
    """The place of every key, also of those within arrays and inline tables."""
    return _Scanner(text).scan()


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._found: dict[KeyPath, Place] = {}
        self._lengths: dict[KeyPath, int] = {}

    def scan(self) -> Mapping[KeyPath, Place]:
        table: KeyPath = ()
        self._skip()
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip()
        return self._found

    def _skip(self) -> None:
        self._at = self._matched(_BLANK).end()

    def _matched(self, pattern: re.Pattern[str]) -> re.Match[str]:
        match = pattern.match(self._text, self._at)
        if match is None:
            # Only valid text is scanned.
            raise ValueError(f"cannot be scanned at {position_at(self._text, self._at)}")
        return match

    def _header(self) -> KeyPath:
        double = self._text.startswith("[[", self._at)
        self._at += 2 if double else 1
        start, parts = self._key()
        self._at += 2 if double else 1
        path: KeyPath = ()
        for place, part in enumerate(parts):
            path = (*path, part)
            if double and place == len(parts) - 1:
                self._lengths[path] = self._lengths.get(path, 0) + 1
            if path in self._lengths:
                self._note(path, start, start)
                path = (*path, self._lengths[path] - 1)
            self._note(path, start, start)
        return path

    def _key(self) -> tuple[int, list[str]]:
        """A dotted key; afterwards the scanner is behind it."""
        match = self._matched(_KEY_PART)
        start, parts = match.start(1), []
        while True:
            name = match.group(1)
            # A quoted key may hold escapes, which TOML itself reads best.
            parts.append(next(iter(tomllib.loads(f"{name} = 0"))))
            self._at = match.end()
            if not self._text.startswith(".", self._at):
                return start, parts
            self._at += 1
            match = self._matched(_KEY_PART)

    def _pair(self, table: KeyPath) -> None:
        start, parts = self._key()
        self._at += 1  # the equals sign
        self._skip()
        path = table
        for part in parts:
            path = (*path, part)
            self._note(path, start, self._at)
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        opening = self._text[self._at]
        if opening == "[":
            self._array(path)
        elif opening == "{":
            self._inline_table(path)
        else:
            self._at = self._matched(_STRING if opening in "\"'" else _PLAIN).end()

    def _array(self, path: KeyPath) -> None:
        self._at += 1
        place = 0
        while not self._closed("]"):
            self._note((*path, place), self._at, self._at)
            self._value((*path, place))
            place += 1

    def _inline_table(self, path: KeyPath) -> None:
        self._at += 1
        while not self._closed("}"):
            self._pair(path)

    def _closed(self, closing: str) -> bool:
        """Step over a comma, if there is one; and over what closes, if that is next."""
        self._skip()
        if self._text[self._at] == ",":
            self._at += 1
            self._skip()
        if self._text[self._at] == closing:
            self._at += 1
            return True
        return False

    def _note(self, path: KeyPath, key: int, value: int) -> None:
        if path not in self._found:
            self._found[path] = Place(position_at(self._text, key), position_at(self._text, value))
