"""The story on recorded files: no labels, and conditions nobody chose for the model.

The first champion is trained on simulated frames at the pixel size of the files. Where the files
carry no truth a challenger learns from the champion's own confident answers; it is registered, but
it takes a person to promote it. Where labels lie beside the files, the challenger is judged on the
quarter of the frames that it did not see; the figures shown afterwards are over all frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomlkit

from eucentric_agents.drivers.replay import FrameSource, ReplayOptions, UnknownPixelSizeError
from eucentric_core import ConfigurationError, SteeringClient
from eucentric_core.vocabulary import ScanStream
from eucentric_models import StartConditions, conditions_for

from ._progress import Progress
from ._story import DemoOptions, PhaseBook

__all__ = ["ReplayStory"]

_TILE_SIDES_PX = (512, 384, 256, 192, 128)
_FEWEST_FRAMES = 8
_FRAMES_PER_SHARD = 4
_MOST_FRAMES = 48
_FRAMES_PER_S = 4.0
_PANELS = 3
_PHASE_TIMEOUT_S = 180.0


class ReplayStory:
    """Plays recorded frames and watches what the champion makes of them.

    Raises:
        ConfigurationError: no data given, no such file, or no pixel size known.
        DataFormatError: a file cannot be replayed.
    """

    session = "replay-session"
    trigger_timeout_s = 20.0
    trigger_required = False

    def __init__(self, options: DemoOptions) -> None:
        if options.data is None:
            raise ConfigurationError(
                "The instrument replay has nothing to replay.",
                safe="nothing was started.",
                next_step="name a file or folder with --data.",
            )
        self._seed = options.seed
        self._begun = False
        path = options.data.expanduser().absolute()
        try:
            self._driver = _tiled(ReplayOptions(path=path, pixel_size_m=options.pixel_size_m, repeat=True))
        except UnknownPixelSizeError as error:
            raise ConfigurationError(
                error.what, safe=error.safe, next_step="give it in picometres with --pixel-size-pm."
            ) from error
        source = FrameSource(self._driver)
        self._frames = min(len(source), _MOST_FRAMES)
        first = source[0]
        shape = (int(first.array.shape[0]), int(first.array.shape[1]))
        self._conditions = _start_conditions(first.calibration.x_scale_m, shape)

    def settings(self) -> Mapping[str, Mapping[str, Any]]:
        """The files as an instrument; large images are cut into tiles so that there are frames to work on."""
        driver = self._driver.model_dump(mode="json", exclude_none=True)
        agent = {"name": "replay-1", "instrument": "replay", "frames_per_shard": _FRAMES_PER_SHARD}
        agent["driver"] = driver
        return {"agent": agent, "edge": {"drift_window_frames": min(self._frames, _FEWEST_FRAMES)}}

    def policy(self) -> str:
        """Retrain once when all frames are registered; too few frames are no reason to train anything."""
        return tomlkit.dumps(
            {
                "schema_version": 1,
                "name": "retrain-on-new-frames",
                "model": "atoms",
                "enabled": self._frames >= _FEWEST_FRAMES,
                "trigger": {
                    "kind": "frames",
                    "material": self._conditions.material,
                    "count": self._frames,
                    "frames_per_shard": _FRAMES_PER_SHARD,
                },
                "guards": {"cooldown_s": 600, "max_runs_per_day": 1},
                "action": {"kind": "retrain", "recipe": "elit", "frames": max(self._frames, _FEWEST_FRAMES)},
            }
        )

    def bootstrap(self, home: Path) -> Sequence[str]:
        """The first champion knows simulated crystals of many kinds at the pixel size of the files."""
        path = home / "start-conditions.json"
        path.write_text(self._conditions.model_dump_json(), encoding="utf-8")
        return ("--seed", str(self._seed), "--conditions", str(path))

    def unsettle(self, scope: SteeringClient, book: PhaseBook, progress: Progress) -> None:
        """Play every frame once and take down what the champion says."""
        with progress.stage("replay", f"the champion answers {self._frames} recorded frames"):
            scope.start_session(self.session, material=self._conditions.material)
            scope.stream(ScanStream(max_frames_per_s=_FRAMES_PER_S))
            self._begun = True
            for panel in range(1, _PANELS):
                wanted = max(1, self._frames * panel // _PANELS)
                book.keep_frame(f"frame {wanted - 1}", frames=wanted, timeout_s=_PHASE_TIMEOUT_S)
            book.fill("champion", from_sequence=0, frames=self._frames, timeout_s=_PHASE_TIMEOUT_S)

    def carry_on(self, scope: SteeringClient) -> bool:
        """Play on if the agent stopped the replay because this demo was not heard of."""
        if not self._begun or scope.state().scanning:
            return False
        scope.stream(ScanStream(max_frames_per_s=_FRAMES_PER_S))
        return True

    def recover(self, scope: SteeringClient, book: PhaseBook, progress: Progress, version: int) -> None:
        """Play the frames again for a new champion."""
        with progress.stage("recover", "the new champion answers the recorded frames"):
            first = book.first_answer_of(version, timeout_s=_PHASE_TIMEOUT_S)
            book.marks[f"model v{version}"] = first
            book.fill(
                "after retraining", from_sequence=first, frames=self._frames, timeout_s=_PHASE_TIMEOUT_S
            )


def _start_conditions(pixel_size_m: float, shape: tuple[int, int]) -> StartConditions:
    try:
        return conditions_for(pixel_size_m, shape)
    except ValueError as error:
        raise ConfigurationError(
            f"At {pixel_size_m * 1e12:g} pm a pixel no atomic columns can be told apart: {error}.",
            safe="nothing was started.",
            next_step="check the pixel size; correct it with --pixel-size-pm.",
        ) from error


def _tiled(options: ReplayOptions) -> ReplayOptions:
    """Cut into the largest tiles that give enough frames to learn from; whole images if there are enough."""
    if len(FrameSource(options)) >= _FEWEST_FRAMES:
        return options
    for side in _TILE_SIDES_PX:
        tiled = options.model_copy(update={"tile_px": side})
        if len(FrameSource(tiled)) >= _FEWEST_FRAMES:
            return tiled
    return options
