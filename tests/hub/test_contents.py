"""Which files of a hub an archive holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from eucentric.hub.backup._contents import files_of, parts_of
from eucentric_core import Settings, load_settings
from eucentric_flows.stages import Workspace, start_data


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(flags={"home": str(tmp_path / "home")}, environment={})


def names(settings: Settings) -> set[str]:
    return {name for part in parts_of(settings) for _, name in files_of(part, settings)}


def written(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"something")


def test_what_policies_name_as_inputs_is_held_and_what_runs_make_is_not(settings: Settings) -> None:
    data, workspace = start_data(settings, "atoms"), Workspace.of(settings, "atoms", "run-1")
    for path in (data.training, data.holdout, data.training.parent / "support-sets/mine-v1.json"):
        written(path)
    for path in (workspace.inputs / "new.npz", workspace.gathered, workspace.training / "checkpoint.pt"):
        written(path)
    assert names(settings) == {
        "home/training/atoms/start.npz",
        "home/training/atoms/start-holdout.npz",
        "home/training/atoms/support-sets/mine-v1.json",
    }


def test_what_changes_all_the_time_is_left_out(settings: Settings) -> None:
    for name in ("logs/flows.jsonl", "run/flows.json", "postgres/data/PG_VERSION", "edge/models/a", "a.part"):
        written(settings.home / name)
    written(settings.home / "policies/mine.toml")
    assert names(settings) == {"home/policies/mine.toml"}


def test_a_link_is_not_followed(settings: Settings, tmp_path: Path) -> None:
    written(tmp_path / "elsewhere/secret")
    written(settings.home / "policies/mine.toml")
    (settings.home / "policies/there").symlink_to(tmp_path / "elsewhere")
    (settings.home / "policies/that.toml").symlink_to(tmp_path / "elsewhere/secret")
    assert names(settings) == {"home/policies/mine.toml"}
