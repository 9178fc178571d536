"""Commands of this project in its documents, and whether the program would understand them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException

from eucentric.cli import command_tree

__all__ = ["DocumentedCommand", "commands_of", "misunderstood"]

_FENCE = re.compile(r"^([ >]*)```(\w*)[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_BLOCK_LINE = re.compile(r"^[\s>$]*(?:\.venv/bin/)?eucentric(?:\s+(.*))?$")
_SPAN_TEXT = re.compile(r"^(?:\.venv/bin/)?eucentric(?:\s+(.*))?$")
# What stands for something else, or for more of the same.
_ELLIPSIS = {"...", "…"}
_TREE = command_tree()


@dataclass(frozen=True, slots=True)
class DocumentedCommand:
    """A command as a document shows it.

    Attributes:
        text: as it is written.
        words: what stands behind the program's name, alternatives `a|b` included.
        named_only: it is spoken of in a sentence, where an option's name stands without its value.
    """

    text: str
    words: tuple[str, ...]
    named_only: bool


def commands_of(text: str) -> Iterator[DocumentedCommand]:
    """Every `eucentric ...` of a Markdown document: lines of code blocks, and words in backquotes."""
    for block in _FENCE.finditer(text):
        for line in block.group(3).replace("\\\n", " ").splitlines():
            # Several on one line, as a table of commands shows them.
            if (found := _BLOCK_LINE.match(line)) is not None:
                yield _command(found.group(1) or "", named_only=False)
    for span in _SPAN.finditer(_FENCE.sub("", text)):
        # Text in angle brackets is a pattern of something else, as in `eucentric at <site>`.
        if (found := _SPAN_TEXT.match(span.group(1))) is not None and "<" not in span.group(1):
            yield _command(found.group(1) or "", named_only=True)


def _command(words: str, *, named_only: bool) -> DocumentedCommand:
    lexer = shlex.shlex(words, posix=True, punctuation_chars=False)
    lexer.whitespace_split = True
    # Square brackets say that something may be left out.
    found = [word.strip("[]") for word in lexer]
    return DocumentedCommand(f"eucentric {words}".strip(), tuple(word for word in found if word), named_only)


def misunderstood(command: DocumentedCommand) -> str | None:
    """Why the program would not understand it: an unknown command, an unknown option, too many words."""
    for words in _alternatives(command.words):
        why = _fault(words)
        if why is not None and command.named_only and words[-1].startswith("--"):
            why = _fault((*words, "VALUE"))
        if why is not None:
            return f"{command.text}: {why}"
    return None


def _alternatives(words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for number, word in enumerate(words):
        if re.fullmatch(r"[a-z-]+(\|[a-z-]+)+", word):
            for one in word.split("|"):
                yield (*words[:number], one, *words[number + 1 :])
            return
    yield words


def _fault(words: tuple[str, ...]) -> str | None:
    command: TyperCommand | TyperGroup = _TREE
    context = typer.Context(command, info_name="eucentric")
    rest = list(words)
    while isinstance(command, TyperGroup):
        if not rest:
            return None
        name = rest.pop(0)
        if name.startswith("-"):
            return None if name in _options(command) else f"no option {name}"
        if name.isupper():
            return None  # it stands for any command
        found = command.get_command(context, name)
        if not isinstance(found, TyperCommand | TyperGroup):
            return f"no command {name!r}"
        command = found
        context = typer.Context(command, info_name=name, parent=context)
    try:
        _, left, _ = command.make_parser(context).parse_args(rest)
    except TyperException as error:
        return str(error)
    left = [word for word in left if word not in _ELLIPSIS]
    return f"too many words: {left}" if left else None


def _options(command: TyperGroup) -> set[str]:
    return {option for parameter in command.params for option in parameter.opts} | {"--help"}
