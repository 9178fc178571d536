"""Power fails at twelve points of an installation, again and again: the old model boots, or the new.

Twice in a row at each point in a usual run, five times with `--nightly`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from eucentric_edge import HereOpener, Installer, KeyTrust, ModelSlot

from ..edge.bundle_maker import BundleMaker, frame_of, image

ROUNDS, NIGHTLY_ROUNDS = 2, 5

# Event of the interpreter, part of the path, which of them; and whether the new version serves afterwards.
POINTS: dict[str, tuple[str, str, int, bool]] = {
    "before anything is fetched": ("os.mkdir", "/incoming/", 1, False),
    "while the first file is fetched": ("open", "/incoming/", 1, False),
    "while the fourth file is fetched": ("open", "/incoming/", 4, False),
    "before the fetched envelope is read": ("open", "manifest.dsse.json", 3, False),
    "before the weights are hashed": ("open", "member-0.safetensors", 3, False),
    "before the second member is loaded": ("open", "member-1.safetensors", 4, False),
    "before the golden test": ("open", "golden-0-frame.npy", 4, False),
    "before what an earlier crash left is removed": ("shutil.rmtree", "/models/v", 1, False),
    "before the checked bundle is moved into place": ("os.rename", "/incoming/", 1, False),
    "before the new state is written": ("open", "/edge/.state.json", 1, False),
    "before the new state replaces the old": ("os.rename", "/edge/.state.json", 1, False),
    "after the commit, before the oldest version is removed": ("shutil.rmtree", "/models/v", 2, True),
}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> BundleMaker:
    torch.set_num_threads(1)
    return BundleMaker(tmp_path_factory.mktemp("published"))


@pytest.fixture(scope="module")
def dying() -> Iterator[subprocess.Popen[str]]:
    """A process whose children die where they are told to."""
    script = Path(__file__).with_name("installing_process.py")
    with subprocess.Popen(
        [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def opened(home: Path, bundles: BundleMaker) -> tuple[Installer, ModelSlot]:
    slot = ModelSlot()
    trust = KeyTrust(bundles.trusted)
    return Installer(home, trust, model_name="atoms", slot=slot, opener=HereOpener("cpu")), slot


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("point", POINTS)
def test_an_edge_is_killed_at_one_point_again_and_again(
    point: str,
    bundles: BundleMaker,
    dying: subprocess.Popen[str],
    tmp_path: Path,
    pytestconfig: pytest.Config,
) -> None:
    event, path, nth, new_serves = POINTS[point]
    home, keys = tmp_path / "edge", tmp_path / "trusted-keys.json"
    keys.write_text(bundles.trusted.model_dump_json())
    installer, _ = opened(home, bundles)
    for version in (1, 2):
        installer.install(bundles.make(version), frame_shape=None)
    serving = 2
    assert dying.stdin is not None
    assert dying.stdout is not None
    for _ in range(NIGHTLY_ROUNDS if pytestconfig.getoption("--nightly") else ROUNDS):
        order = {
            "folder": str(home),
            "bundle": str(bundles.make(serving + 1)),
            "keys": str(keys),
            "event": event,
            "path": path,
            "nth": nth,
        }
        dying.stdin.write(json.dumps(order) + "\n")
        dying.stdin.flush()
        assert dying.stdout.readline().strip() == "-9", f"it did not get to the point: {point}"
        serving += new_serves

        booted, slot = opened(home, bundles)
        assert booted.start() == ()
        assert slot.model is not None
        said = slot.model.answer(frame_of(image(7), 0), received_s=time.perf_counter())
        assert said.header.model_version == serving
        expected = bundles.ensemble(serving).infer(image(7)).deviation.astype("float16")
        assert said.array("uncertainty").tobytes() == expected.tobytes()
        assert list((home / "incoming").iterdir()) == []
        kept = [f"v{version:06d}" for version in (serving - 1, serving)]
        assert sorted(folder.name for folder in (home / "models").iterdir()) == kept
    booted, _ = opened(home, bundles)
    booted.start()
    assert booted.install(bundles.make(serving + 1), frame_shape=None).version == serving + 1
