"""The whole story on the digital twin: the loop closes, nothing is lost, nothing is left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = [pytest.mark.alone, pytest.mark.timeout(600)]

STAGES = {
    "start", "champion", "observe", "drift", "trigger", "gather", "train", "judge", "sign", "register",
    "promote", "install", "recover", "close",
}  # fmt: skip


def run_demo(*arguments: str, temporary: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "eucentric", "demo", *arguments],
        capture_output=True,
        text=True,
        timeout=500,
        env={**os.environ, "TMPDIR": str(temporary)},
        check=False,
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One demo with another seed than the default; its report, with what it left behind."""
    temporary = tmp_path_factory.mktemp("temporary")
    picture = tmp_path_factory.mktemp("picture") / "loop.png"
    done = run_demo("--json", "--seed", "5", "--picture", str(picture), temporary=temporary)
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(done.stdout)
    report["left_files"] = sorted(path.name for path in temporary.iterdir())
    report["picture_bytes"] = picture.read_bytes()
    return report


def test_a_policy_closed_the_loop(demo: dict[str, Any]) -> None:
    assert demo["closed_loop"] is True
    assert demo["triggered_by"] == "policy"
    assert demo["model_version"] == 2


def test_detection_fell_with_the_drift_and_recovered(demo: dict[str, Any]) -> None:
    assert demo["f1_drifted"] <= demo["f1_initial"] - 0.15
    assert demo["f1_recovered"] >= demo["f1_initial"] - 0.03
    assert 0 < demo["position_error_pm_recovered"] < 30


def test_the_drift_score_rose_and_fell_with_it(demo: dict[str, Any]) -> None:
    before, after, recovered = (phase["drift_score"] for phase in demo["phases"].values())
    assert before < 1 < after
    assert recovered < after


def test_no_frame_was_lost_or_dropped(demo: dict[str, Any]) -> None:
    assert demo["frames_lost"] == 0
    assert demo["swap_dropped_frames"] == 0
    assert demo["frames_received"] == demo["frames_published"] == demo["frames_recorded"] > 0


def test_every_stage_has_a_duration(demo: dict[str, Any]) -> None:
    assert set(demo["stages"]) == STAGES
    assert all(seconds >= 0 for seconds in demo["stages"].values())
    assert demo["drift_to_new_model_s"] > demo["stages"]["train"]


def test_it_says_that_it_is_simulated(demo: dict[str, Any]) -> None:
    assert demo["instrument"] == "twin"
    assert demo["simulated"] is True
    assert demo["seed"] == 5


def test_it_drew_a_picture_and_left_nothing_else(demo: dict[str, Any]) -> None:
    assert demo["picture_bytes"].startswith(b"\x89PNG")
    assert demo["left_files"] == []
    assert not [
        p for p in psutil.process_iter(["cmdline"]) if "eucentric-demo-" in " ".join(p.info["cmdline"] or ())
    ]
