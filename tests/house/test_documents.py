"""The documents point at things that exist, and every decision is on the list."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#[^)]*)?\)")
UNREAD = {".git", ".venv", "node_modules"}


def documents(folder: Path) -> Iterator[Path]:
    """Every Markdown file of the house, without what was installed or made."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and path.name not in UNREAD:
            yield from documents(path)
        elif path.suffix == ".md":
            yield path


def broken_links(text: str, folder: Path) -> list[str]:
    """Return the relative link targets in `text` that do not exist below `folder`."""
    return [target for target in LINK.findall(text) if not (folder / target).exists()]


def test_every_relative_link_leads_somewhere(repository: Path) -> None:
    broken = {
        str(path.relative_to(repository)): missing
        for path in documents(repository)
        if path.name != "template.md"
        and (missing := broken_links(path.read_text(encoding="utf-8"), path.parent))
    }
    assert broken == {}


def test_a_broken_link_is_noticed(tmp_path: Path) -> None:
    assert broken_links("[here](gone.md#part) [there](https://example.org)", tmp_path) == ["gone.md"]


def test_every_decision_is_on_the_list_and_has_its_parts(repository: Path) -> None:
    folder = repository / "docs" / "decisions"
    listed = (folder / "README.md").read_text(encoding="utf-8")
    for record in sorted(folder.glob("[0-9]*.md")):
        text = record.read_text(encoding="utf-8")
        assert f"({record.name})" in listed
        assert text.startswith(f"# {record.name[:4]}. ")
        for part in (
            "Status: ",
            "## Context",
            "## Decision",
            "## Consequences",
            "## Alternatives considered",
        ):
            assert part in text, f"{record.name} lacks {part!r}"


@pytest.mark.parametrize("phrase", ["/home/", "file:///", "/work/", "/root/", "TODO", "FIXME"])
def test_no_document_speaks_of_one_persons_machine(phrase: str, repository: Path) -> None:
    # A path begins with its slash: `tests/dashboard/work/` is no machine's.
    alone = re.compile(rf"(?<![\w.]){re.escape(phrase)}" if phrase.startswith("/") else re.escape(phrase))
    speaking = [path for path in documents(repository) if alone.search(path.read_text(encoding="utf-8"))]
    assert speaking == []
