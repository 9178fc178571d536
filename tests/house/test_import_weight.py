"""Importing a room brings in no more than its machine should carry, whatever else is installed there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HUB = {"prefect", "mlflow", "parsl", "fastapi", "nicegui"}
NETWORKS = {"torch", "onnxruntime", "openvino"}
SDKS = {"boto3", "botocore", "globus_sdk", "globus_compute_sdk"}
COPYLEFT = {"rsciio", "nion"}
ANALYSIS = {"scipy", "skimage", "pandas", "matplotlib"}
CONTROL_PC = HUB | NETWORKS | SDKS | COPYLEFT | ANALYSIS

MUST_NOT_BRING = {
    "eucentric_core": CONTROL_PC,
    "eucentric_transfer": CONTROL_PC,
    "eucentric_agents": CONTROL_PC,
    "eucentric": CONTROL_PC,
    "eucentric.cli": CONTROL_PC,
    "eucentric_edge": HUB | SDKS | COPYLEFT,
    "eucentric_hpc": {"prefect", "mlflow", "nicegui"} | SDKS | COPYLEFT,
    "eucentric_data_repository": NETWORKS | SDKS | COPYLEFT,
    "eucentric_models": HUB | NETWORKS | SDKS | COPYLEFT,
}

REPORT_MODULES = """
import importlib, json, sys
importlib.import_module(sys.argv[1])
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def brought_in(module: str) -> set[str]:
    """Import `module` in a fresh interpreter and return the top-level names that are loaded then."""
    outcome = subprocess.run(
        [sys.executable, "-c", REPORT_MODULES, module],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr
    return set(json.loads(outcome.stdout.splitlines()[-1]))


@pytest.mark.parametrize("module", MUST_NOT_BRING)
def test_importing_a_room_stays_light(module: str) -> None:
    assert brought_in(module) & MUST_NOT_BRING[module] == set()


@pytest.mark.parametrize("room", ["core", "agents"])
def test_no_module_of_a_control_pc_is_heavy(room: str, package_folders: list[Path]) -> None:
    # The flat `__init__` may leave a module out; a late import of that module must be light as well.
    folder = next(folder for folder in package_folders if folder.parent.name == room)
    modules = [
        ".".join((folder.name, *path.relative_to(folder).with_suffix("").parts))
        for path in sorted(folder.rglob("*.py"))
        if path.name not in {"__init__.py", "__main__.py"}
    ]
    script = f"import importlib\nfor name in {modules!r}:\n    importlib.import_module(name)\n"
    outcome = subprocess.run(
        [sys.executable, "-c", script + REPORT_MODULES.replace("sys.argv[1]", repr(folder.name))],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr
    assert set(json.loads(outcome.stdout.splitlines()[-1])) & CONTROL_PC == set()
