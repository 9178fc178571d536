"""Every command that a document shows exists, with the options that it shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from .documented_commands import commands_of, misunderstood
from .test_documents import documents

HISTORY = "CHANGELOG.md"


def test_every_command_of_every_document_is_understood(repository: Path) -> None:
    found, wrong = 0, []
    for path in documents(repository):
        if path.name == HISTORY:
            continue
        for command in commands_of(path.read_text(encoding="utf-8")):
            found += 1
            if (why := misunderstood(command)) is not None:
                wrong.append(f"{path.relative_to(repository)}: {why}")
    assert wrong == [], "\n".join(wrong)
    assert found > 100


@pytest.mark.parametrize(
    ("shown", "why"),
    [
        ("`eucentric fly`", "no command 'fly'"),
        ("`eucentric models prmote v7`", "no command 'prmote'"),
        ("```\neucentric agent run --instrment twin\n```", "No such option"),
        ("```\n$ eucentric stop titan now\n```", "too many words"),
        ("`eucentric models ls|shw`", "no command 'shw'"),
        ("```\neucentric agent run --instrument\n```", "requires an argument"),
    ],
)
def test_a_command_that_does_not_exist_is_noticed(shown: str, why: str) -> None:
    (command,) = commands_of(shown)
    assert why in (misunderstood(command) or "")


@pytest.mark.parametrize(
    "shown",
    [
        "`eucentric`",
        "`eucentric --help`",
        "`eucentric models ls|show`",
        "`eucentric stop [NAME]`",
        "```\neucentric run show 5f3a --watch   # until it has ended\n```",
        "```\neucentric keys rotate root \\\n    --root-key ...   # by hand\n```".replace("...", "FILE"),
    ],
)
def test_a_command_that_exists_is_understood(shown: str) -> None:
    (command,) = commands_of(shown)
    assert misunderstood(command) is None
