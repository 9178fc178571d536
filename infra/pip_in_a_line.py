"""`python infra/pip_in_a_line.py ARGS`: pip with one changing line in place of screens of text.

Standard library alone, because nothing is installed yet. Whatever pip says goes to a log; where pip fails,
the end of it is shown. Without a terminal only the last line is said.
"""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import TextIO

_TOLD = re.compile(
    r"\s*(Collecting|Downloading|Processing|Using cached|Building|Preparing|Installing|Obtaining) (\S+)(.*)"
)
_WIDTH = 78
_SHOWN_OF_A_FAILURE = 25
_PERIOD_S = 0.25


def main(arguments: list[str]) -> int:
    """Run pip with these arguments by this interpreter; its exit status."""
    log = Path(sys.prefix) / "pip.log"
    command = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        *arguments,
        "--progress-bar",
        "off",
    ]
    line = _Line(sys.stderr)
    last: deque[str] = deque(maxlen=_SHOWN_OF_A_FAILURE)
    with (
        log.open("a", encoding="utf-8") as kept,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        ) as pip,
    ):
        kept.write(f"$ {' '.join(command)}\n")
        for said in pip.stdout or ():
            kept.write(said)
            last.append(said)
            if (words := in_a_line(said)) is not None:
                line.show(words)
    if pip.returncode:
        line.end(f"{''.join(last)}pip failed; all that it said is in {log}")
    else:
        line.end(f"    done in {line.passed_s:.0f} s")
    return pip.returncode


def in_a_line(said: str) -> str | None:
    """What a line of pip's says to whoever waits; None where it says nothing to them."""
    if (told := _TOLD.match(said)) is None:
        return None
    verb, what, more = told.groups()
    if verb == "Installing" and what == "collected":
        return f"Installing {more.count(',') + 1} packages"
    size = re.search(r"\(([\d.]+ [kMG]?B)\)", more)
    return f"{verb} {what.rpartition('/')[2]}{f' ({size[1]})' if size else ''}"


class _Line:
    """Writes over itself on a terminal, with the seconds that have passed.

    Args:
        stream: where to.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._began_s = time.monotonic()
        self._words = ""
        self._ended = threading.Event()
        self._drawing = threading.Thread(target=self._draw, daemon=True)
        if stream.isatty():
            self._drawing.start()

    @property
    def passed_s(self) -> float:
        """Since this line was made."""
        return time.monotonic() - self._began_s

    def show(self, words: str) -> None:
        """Say it in place of what was said before."""
        self._words = words

    def end(self, text: str) -> None:
        """Say this for good."""
        self._ended.set()
        if self._drawing.is_alive():
            self._drawing.join()
            self._stream.write("\r\033[K")
        self._stream.write(f"{text}\n")

    def _draw(self) -> None:
        while not self._ended.wait(_PERIOD_S):
            self._stream.write(f"\r\033[K    {self.passed_s:4.0f} s  {self._words[:_WIDTH]}")
            self._stream.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
