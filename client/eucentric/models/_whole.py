"""Results appear in a folder when all of them are there."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from eucentric_core import ConfigurationError, fsync_directory

__all__ = ["ResultsFolder", "whole_results"]


@dataclass(frozen=True, slots=True)
class ResultsFolder:
    """Where results are gathered until they are complete."""

    path: Path

    def write_summary(self, stem: str, summary: dict[str, JsonValue]) -> None:
        """Write `<stem>.json`."""
        text = json.dumps(summary, indent=2, ensure_ascii=False)
        (self.path / f"{stem}.json").write_text(text + "\n", encoding="utf-8")


@contextmanager
def whole_results(output: Path) -> Iterator[ResultsFolder]:
    """A folder to write into; its files are moved to `output` at the end, and nothing is after an error.

    Files of the same names, from an earlier run on the same input, are replaced.

    Raises:
        ConfigurationError: the output cannot be a folder, or cannot be written.
    """
    existing = next(place for place in (output.absolute(), *output.absolute().parents) if place.exists())
    try:
        aside = Path(tempfile.mkdtemp(prefix=".eucentric-apply-", dir=existing))
    except OSError as error:
        raise _unwritable(output, error) from error
    try:
        yield ResultsFolder(aside)
        try:
            output.mkdir(parents=True, exist_ok=True)
            for file in sorted(aside.iterdir()):
                file.replace(output / file.name)
            fsync_directory(output)
        except OSError as error:
            raise _unwritable(output, error) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _unwritable(output: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"{output} cannot hold results: {error.strerror or error}.",
        safe="nothing was written.",
        next_step="name a folder that may be written.",
    )
