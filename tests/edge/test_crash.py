"""Power fails at the worst moment of an installation: the edge boots to the old or the new model."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from eucentric_core import TrustedKeys
from eucentric_edge import HereOpener, Installer, KeyTrust, ModelSlot

from .bundle_maker import BundleMaker, frame_of, image

# The operation that never happens, and the version that must serve after the restart.
POINTS = {
    "while a file is fetched": ("open", "/incoming/", 2),
    "before the checked bundle is moved into place": ("os.rename", "/incoming/", 2),
    "before the new state is written": ("open", "/edge/.state.json", 2),
    "before the new state replaces the old": ("os.rename", "/edge/.state.json", 2),
    "after the commit, before the oldest version is removed": ("shutil.rmtree", "/models/v000001", 3),
}


@pytest.mark.parametrize("point", POINTS)
def test_kill_during_an_installation(point: str, bundles: BundleMaker, tmp_path: Path) -> None:
    event, path, serving = POINTS[point]
    home, keys = tmp_path / "edge", tmp_path / "trusted-keys.json"
    keys.write_text(bundles.trusted.model_dump_json())
    installer = _installer(home, bundles.trusted, ModelSlot())
    for version in (1, 2):
        installer.install(bundles.make(version), frame_shape=None)

    script = Path(__file__).with_name("install_and_die.py")
    command = [sys.executable, *map(str, (script, home, keys, bundles.make(3), event, path))]
    died = subprocess.run(command, timeout=60, check=False, capture_output=True, text=True)
    assert died.returncode == -signal.SIGKILL, died.stderr

    slot = ModelSlot()
    restarted = _installer(home, bundles.trusted, slot)
    assert restarted.start() == ()
    assert slot.model is not None
    answer = slot.model.answer(frame_of(image(7), 0), received_s=time.perf_counter())
    assert answer.header.model_version == serving
    expected = bundles.ensemble(serving).infer(image(7)).deviation.astype("float16")
    assert answer.array("uncertainty").tobytes() == expected.tobytes()
    assert list((home / "incoming").iterdir()) == []
    assert sorted(folder.name for folder in (home / "models").iterdir()) == [
        f"v{version:06d}" for version in (serving - 1, serving)
    ]
    assert restarted.install(bundles.make(serving + 1), frame_shape=None).version == serving + 1


def _installer(home: Path, trusted: TrustedKeys, slot: ModelSlot) -> Installer:
    return Installer(home, KeyTrust(trusted), model_name="atoms", slot=slot, opener=HereOpener("cpu"))
