"""What the documents say about opening a shard works as it is written there, in a process of its own."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from eucentric_core import Frame
from eucentric_transfer import write_shard

ROOT = Path(__file__).parents[2]
SNIPPETS = [
    (document, snippet)
    for document in ("docs/recording.md", "transfer/README.md")
    for snippet in re.findall(
        r"```python\n(.*?)```", (ROOT / document).read_text(encoding="utf-8"), re.DOTALL
    )
    if ".h5" in snippet
]
LOOK = """
import numpy
pixels = frames if "frames" in globals() else (signal[0] if isinstance(signal, list) else signal).data
assert numpy.asarray(pixels).any()
"""


def test_there_are_examples() -> None:
    assert [document for document, _ in SNIPPETS] == ["docs/recording.md"] * 2 + ["transfer/README.md"]


@pytest.mark.parametrize(("document", "snippet"), SNIPPETS, ids=[name for name, _ in SNIPPETS])
def test_a_documented_example_reads_pixels(
    document: str, snippet: str, tmp_path: Path, make_frame: Callable[..., Frame]
) -> None:
    if "hyperspy" in snippet and importlib.util.find_spec("hyperspy") is None:
        pytest.skip("HyperSpy is not installed here")
    (name,) = re.findall(r'"([^"]+\.h5)"', snippet)
    write_shard(tmp_path / name, [make_frame(n) for n in range(4)], software="test")
    # In `with` blocks the file is closed at the end: look at the pixels within.
    program = snippet.replace(
        'frames = file["entry/haadf/data"]  #', 'frames = file["entry/haadf/data"][:]  #'
    )
    done = subprocess.run(
        [sys.executable, "-c", program + LOOK], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
