"""The frame around everything that shows itself: a title, badges, a table, and what belongs below it."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

__all__ = ["SIMULATED", "bullets", "card", "escaped", "table"]

SIMULATED = "SIMULATED"

_MOST_CHARACTERS = 400
_MOST_ROWS = 40
_BADGE = "background:#92400e;color:#fff;padding:0 .4em;border-radius:.3em"
_CELL = "text-align:left;vertical-align:top"


def escaped(text: object) -> str:
    """Text as HTML that says the text and does nothing else; long text is cut, and says so."""
    said = str(text)
    if len(said) > _MOST_CHARACTERS:
        said = f"{said[: _MOST_CHARACTERS - 1]}…"
    return html.escape(said)


def table(rows: Iterable[Sequence[object]], *, head: Sequence[str] = ()) -> str:
    """Rows of text as an HTML table; of very many the first ones, and how many more there are."""
    every = list(rows)
    shown = "".join(
        f"<tr>{''.join(f'<td style={_CELL!r}>{escaped(cell)}</td>' for cell in row)}</tr>"
        for row in every[:_MOST_ROWS]
    )
    if len(every) > _MOST_ROWS:
        columns = max(len(row) for row in every)
        shown += f"<tr><td colspan='{columns}'>and {len(every) - _MOST_ROWS} more</td></tr>"
    titles = "".join(f"<th style='text-align:left'>{escaped(name)}</th>" for name in head)
    return f"<table>{f'<tr>{titles}</tr>' if titles else ''}{shown}</table>"


def card(
    title: str,
    rows: Iterable[Sequence[object]] = (),
    *,
    subtitle: str = "",
    badges: Iterable[str] = (),
    below: str = "",
) -> str:
    """A thing as HTML.

    Args:
        title: its name; text.
        rows: what is known of it, name and value; text.
        subtitle: what kind of thing it is; text.
        badges: warnings that belong to the name, as SIMULATED; text.
        below: HTML under the table, made by this package from escaped text.
    """
    marks = "".join(f' <span style="{_BADGE}">{escaped(badge)}</span>' for badge in badges)
    body = list(rows)
    return (
        f"<div><b>{escaped(title)}</b> {escaped(subtitle)}{marks}{table(body) if body else ''}{below}</div>"
    )


def bullets(sentences: Iterable[object]) -> str:
    """Sentences as an HTML list."""
    return f"<ul>{''.join(f'<li>{escaped(sentence)}</li>' for sentence in sentences)}</ul>"
