"""The local file of limits: read in full, or the agent does not start."""

from __future__ import annotations

from pathlib import Path

import pytest

from eucentric_agents.interlocks import Interlocks, defaults_for, read_limits
from eucentric_core import ConfigurationError, InterlockError, StageLimits
from eucentric_core.vocabulary import BeamUnblank, Command, StageMove

from .bench import CAPABILITIES, a_state

STAGE = CAPABILITIES.model_copy(
    update={"stage_limits": StageLimits(x_m=(-1e-4, 1e-4), alpha_rad=(-0.5, 0.5)), "max_stage_offset_m": 5e-5}
)

WHOLE = """
[stage]
x_m = [-50e-6, 60e-6]
z_m = [-40e-6, 40e-6]
max_tilt_rad = 0.6
z_at_full_tilt_m = 10e-6
max_step_m = 20e-6
max_tilt_step_rad = 0.2
[[stage.keep_out]]
name = "clamp"
x_m = [40e-6, 60e-6]
y_m = [0.0, 60e-6]
[rate]
min_interval_s = 0.1
moves_per_minute = 60
[dose]
region_e_per_a2 = 2000
session_e_per_a2 = 500.0
region_beam_on_s = 60
session_beam_on_s = 3600
region_size_m = 1e-7
assumed_beam_current_a = 50e-12
[detector]
max_electrons_per_pixel = 1e6
max_beam_current_a = 1e-9
min_field_of_view_m = 2e-9
[beam]
max_unblank_s = 120
"""


def written(folder: Path, text: str) -> Path:
    """A file of limits."""
    path = folder / "interlocks.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_a_file_the_stage_keeps_to_its_own_ranges(tmp_path: Path) -> None:
    limits = read_limits(tmp_path / "none.toml", STAGE)
    assert limits == defaults_for(STAGE)
    assert limits.stage.x_m == (-1e-4, 1e-4)
    assert limits.stage.y_m == (-5e-5, 5e-5)
    assert limits.stage.alpha_rad == (-0.5, 0.5)
    assert limits.stage.z_m is None
    assert not limits.dose.set


def test_every_key_is_understood_and_the_narrower_of_file_and_driver_counts(tmp_path: Path) -> None:
    limits = read_limits(written(tmp_path, WHOLE), STAGE)
    assert limits.stage.x_m == (-50e-6, 60e-6)
    assert limits.stage.y_m == (-5e-5, 5e-5)
    assert limits.stage.alpha_rad == (-0.5, 0.5)
    assert limits.stage.keep_out[0].name == "clamp"
    assert limits.dose.region_e_per_a2 == 2000
    wide = read_limits(written(tmp_path, "[stage]\nx_m = [-1e-3, 2e-5]"), STAGE)
    assert wide.stage.x_m == (-1e-4, 2e-5)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("# all limits were here", "is empty"),
        ("[stage\nx_m =", "not valid TOML"),
        (WHOLE.replace("region_size_m", "region_sice_m"), "dose.region_sice_m"),
        ("[stages]\nx_m = [0.0, 1e-6]", "stages"),
        ("[stage]\nx_m = [1e-6, -1e-6]", "stage.x_m"),
        ("[stage]\nx_m = [-1e-6]", "stage.x_m"),
        ("[stage]\nx_m = [-50, 50]", "looks like micrometres"),
        ("[stage]\nmax_step_m = 500000", "looks like nanometres"),
        ("[stage]\nalpha_rad = [-30, 30]", "looks like degrees"),
        ("[stage]\nx_m = [nan, 1e-6]", "stage.x_m"),
        ("[stage]\nx_m = [-inf, 1e-6]", "stage.x_m"),
        ('[stage]\nmax_step_m = "1e-6"', "stage.max_step_m"),
        ("[beam]\nmax_unblank_s = true", "beam.max_unblank_s"),
        ("[beam]\nmax_unblank_s = 0", "beam.max_unblank_s"),
        ("[beam]\nmax_unblank_s = 60000", "looks like milliseconds"),
        ("[dose]\nassumed_beam_current_a = 50", "looks like nanoamperes"),
        ("[dose]\nregion_e_per_a2 = -1", "dose.region_e_per_a2"),
        ("[rate]\nmoves_per_minute = 1.5", "rate.moves_per_minute"),
        ("[stage]\nz_at_full_tilt_m = 1e-6", "needs max_tilt_rad"),
        ('[[stage.keep_out]]\nname = "a plane"\nx_m = [1e-6, 1e-6]', "no inside"),
        ('[[stage.keep_out]]\nname = "all"', "no inside"),
        ("[stage]\nx_m = [2e-4, 3e-4]", "no room"),
    ],
)
def test_a_file_that_is_not_understood_stops_the_start_and_names_the_place(
    tmp_path: Path, text: str, says: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_limits(written(tmp_path, text), STAGE)
    assert says in refused.value.what
    assert "did not start" in refused.value.safe
    # Nobody is sent off to remove a file without being told what that costs.
    assert "remove" not in str(refused.value.next_step)
    assert "limits on dose, rate, detectors and beam are off" in str(refused.value.next_step)


def test_a_file_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe[stage]")
    (tmp_path / "huge.toml").write_text("#" * (2 << 20))
    for path in (tmp_path, tmp_path / "bytes.toml", tmp_path / "huge.toml"):
        with pytest.raises(ConfigurationError):
            read_limits(path, STAGE)


def refused(locks: Interlocks, command: Command) -> InterlockError:
    """How a command is refused."""
    with pytest.raises(InterlockError) as error:
        locks.admit(command, a_state(on=False))
    return error.value


def test_a_refusal_says_whose_limit_it_is(tmp_path: Path) -> None:
    text = """
        [stage]
        x_m = [-1e-3, 2e-5]
        max_step_m = 9e-5
        keep_out = [{name = "pole.piece", z_m = [1e-5, 1e-3]}]
        [beam]
        max_unblank_s = 60.0
    """
    locks = Interlocks.open(written(tmp_path, text), STAGE, ledger=None)
    assert locks.show()["from_file"] is True
    whose: list[tuple[Command, str]] = [
        (StageMove(x_m=-2e-4), "instrument"),
        (StageMove(x_m=3e-5), "file"),
        (StageMove(x_m=-9.5e-5), "file"),
        (StageMove(y_m=6e-5), "instrument"),
        (StageMove(z_m=2e-5), "file"),
        (BeamUnblank(max_duration_s=61), "file"),
    ]
    for command, origin in whose:
        assert refused(locks, command).details["origin"] == origin, command
    assert "the instrument's own range" in refused(locks, whose[0][0]).what
    locks.tighten({"stage": {"x_m": [-1e-4, 1e-5]}, "beam": {"max_unblank_s": 30.0}})
    assert refused(locks, StageMove(x_m=1.5e-5)).details["origin"] == "tightening"
    assert refused(locks, StageMove(x_m=-2e-4)).details["origin"] == "instrument"
    assert "tightened" in refused(locks, BeamUnblank(max_duration_s=31)).what
    locks.close()


def test_without_a_file_it_is_said_that_there_is_none(tmp_path: Path) -> None:
    locks = Interlocks.open(tmp_path / "none.toml", STAGE, ledger=None)
    assert locks.show()["from_file"] is False
    locks.close()
