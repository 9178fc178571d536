"""The tutorial is executed: every block, in its order, in a fresh folder, as a reader would."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from eucentric_core import ManagedProcess
from eucentric_core.transport import find_free_port

PAGE = Path(__file__).parents[2] / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(bash|python|toml)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILE_NAME = re.compile(r"to `([\w.-]+)`:")
TIMEOUT_S = 300


def blocks() -> list[tuple[str, str, str]]:
    """Language and text of each block, and the sentence before it."""
    text = PAGE.read_text(encoding="utf-8")
    return [
        (block.group(1), block.group(2), text[: block.start()].rstrip().rpartition("\n\n")[2])
        for block in BLOCK.finditer(text)
    ]


class Reader:
    """Somebody who types what the page says: two terminals, and a Python that stays open.

    Args:
        folder: where they are.
        environment: of everything they start.
    """

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder = folder
        self._environment = environment
        self._python: list[str] = []
        self.agent: ManagedProcess | None = None
        self.said = ""

    def read(self, language: str, text: str, before: str) -> None:
        if language == "python":
            self._python.append(text)
            return
        self._run_python()
        if language == "toml":
            name = FILE_NAME.search(before)
            assert name is not None, before
            (self._folder / name.group(1)).write_text(text, encoding="utf-8")
            return
        for line in text.splitlines():
            self._type(shlex.split(line, comments=True))

    def close(self) -> None:
        self._run_python()
        if self.agent is not None:
            self.agent.stop()

    def _type(self, words: list[str]) -> None:
        program, *arguments = words
        assert program == "eucentric"
        command = [sys.executable, "-m", "eucentric", *arguments]
        if arguments[:2] == ["agent", "run"]:
            self.agent = ManagedProcess(
                "agent", command, log=self._folder / "agent.log", environment=self._environment
            )
            ready = Path(self._environment["EUCENTRIC__HOME"]) / "run" / "agent.json"
            self.agent.wait_ready(ready.exists, timeout_s=TIMEOUT_S)
            return
        self._run(command)

    def _run_python(self) -> None:
        # The blocks between two commands are one sitting.
        if self._python:
            self._run([sys.executable, "-c", "\n".join(self._python)])
            self._python.clear()

    def _run(self, command: list[str]) -> None:
        told = subprocess.run(
            command,
            cwd=self._folder,
            env={**os.environ, **self._environment},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert told.returncode == 0, (command, told.stdout[-2000:], told.stderr[-2000:])
        self.said += told.stdout


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    folder = tmp_path / "fresh"
    folder.mkdir()
    environment = {
        "EUCENTRIC__HOME": str(tmp_path / "home"),
        "EUCENTRIC__AGENT__CONTROL_PORT": str(find_free_port()),
        "EUCENTRIC__AGENT__DATA_PORT": str(find_free_port()),
        "MPLBACKEND": "agg",
        "MPLCONFIGDIR": str(tmp_path / "matplotlib"),
        "COLUMNS": "200",
    }
    one = Reader(folder, environment)
    try:
        yield one
    finally:
        one.close()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_tutorial_works_as_it_stands(reader: Reader, tmp_path: Path) -> None:
    for language, text, before in blocks():
        reader.read(language, text, before)
    reader.close()
    for words in (
        "SIMULATED",
        "Steering needs the lease",
        "(256, 256) pixels of 19.5 pm",
        "columns, the first at x",
        "session.start",
        "policy retrain-on-drift is valid",
        "When the edge reports drift of model atoms",
    ):
        assert words in reader.said, reader.said[-4000:]
    fresh = tmp_path / "fresh"
    assert (fresh / "image.png").stat().st_size > 1000
    assert (fresh / "found" / "image.png").stat().st_size > 1000
    assert len((fresh / "found" / "image.csv").read_text().splitlines()) > 100


def test_the_page_has_commands_python_and_a_file() -> None:
    assert {language for language, _, _ in blocks()} == {"bash", "python", "toml"}
