"""Drive to feature: find it in an overview, go there, look, correct until it is in the middle."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue

from eucentric_core import ErrorReport, Frame, Microscope

from ._checkpoint import StepRecord
from ._drive_plan import DrivePlan, DriveResult, FeatureVisit
from ._errors import FeatureNotReachedError
from ._extras import needs
from ._look import resampled
from ._run import Procedure, Steps
from ._stage_facts import StageFacts

__all__ = ["DriveToFeature"]

_ARRIVED_SHARE = 0.75
"""Of the tolerance; the rest is for what the measurement cannot see."""

_Float = npt.NDArray[np.float64]
Features = Sequence[tuple[float, float]] | _Float | Callable[[Frame], _Float]


class DriveToFeature(Procedure[DriveResult]):
    """Visits features of an overview image one after the other.

    Args:
        plan: how.
        features: rows (y_px, x_px) in the overview, or a function that finds them there (for example
            `find_particles`).
        overview: an image taken earlier with a calibrated pixel size; None: it is taken first.
    """

    name = "drive-to-feature"

    def __init__(self, plan: DrivePlan, features: Features, *, overview: Frame | None = None) -> None:
        self.plan = plan
        self._features = features
        self._overview = overview

    def parameters(self) -> Mapping[str, JsonValue]:
        """Plan, features (unless they are to be found) and overview (unless it is to be taken)."""
        given = None if callable(self._features) else _rows(self._features).tolist()
        overview = self._overview
        return {
            "plan": self.plan.model_dump(mode="json"),
            "features": given,
            "overview": None if overview is None else overview.header.model_dump(mode="json"),
        }

    def perform(self, scope: Microscope, steps: Steps) -> DriveResult:
        """Visit every feature.

        Raises:
            FeatureNotReachedError: one was not reached, and the plan does not keep going.
            UnsupportedError: scikit-image or scipy is not installed, or a verb is missing.
            EucentricError: a move or a scan failed.
        """
        for module in ("skimage.registration", "scipy.ndimage"):
            needs(module)
        steps.total = 2
        overview = steps.do("overview", lambda: self._take_overview(scope), picture="overview").frames[
            "overview"
        ]
        found = steps.do("features", lambda: StepRecord({"features": self._find(overview).tolist()}))
        rows = _rows(found.facts["features"])
        steps.total = 2 + len(rows)
        visits = []
        for number, (y_px, x_px) in enumerate(rows):
            feature = np.array([y_px, x_px])
            record = steps.do(
                f"feature {number}",
                lambda feature=feature: _Drive(self.plan, scope, overview, feature).visit(),  # type: ignore[misc]
            )
            visits.append(_visit_of(feature, record))
        return DriveResult(overview, tuple(visits))

    def _take_overview(self, scope: Microscope) -> StepRecord:
        frame = self._overview
        if frame is None:
            if self.plan.may_shift(scope.capabilities):
                # A shift that an earlier drive left would be in the overview and not in the visits.
                scope.shift_beam(x_m=0.0, y_m=0.0)
            frame = self.plan.overview.take(scope)
        return StepRecord(frames={"overview": frame})

    def _find(self, overview: Frame) -> _Float:
        features = self._features
        return _rows(features(overview) if callable(features) else features)


class _Drive:
    """The visit to one feature."""

    def __init__(self, plan: DrivePlan, scope: Microscope, overview: Frame, feature_px: _Float) -> None:
        self._plan = plan
        self._scope = scope
        self._overview = overview
        self._feature_px = feature_px
        self._rotation = overview.header.optics.scan_rotation_rad
        self._pixel_m = overview.header.pixel_size_m
        self._shift_m = np.zeros(2)
        self._may_shift = plan.may_shift(scope.capabilities)
        ny, nx = overview.array.shape
        from_middle_m = (feature_px - np.array([(ny - 1) / 2, (nx - 1) / 2])) * self._pixel_m
        stage = overview.header.stage
        self._target_m = np.array([stage.x_m, stage.y_m]) + plan.geometry.to_stage_m(
            from_middle_m, self._rotation
        )

    def visit(self) -> StepRecord:
        """Go, look, correct; then take the picture, or say why not."""
        plan, scope = self._plan, self._scope
        if self._may_shift:
            self._shift(np.zeros(2))
        tolerance_m = scope.stage().tolerance_m
        approach_m = 2 * tolerance_m if plan.approach_m is None else plan.approach_m
        search_m = 3 * tolerance_m if plan.search_m is None else plan.search_m
        self._go(approach_m)
        corrections = 0
        offset: _Float | None = None
        error: FeatureNotReachedError | None = None
        frames: dict[str, Frame] = {}
        try:
            while True:
                offset = self._look(search_m)
                distance_m = float(np.hypot(*offset))
                if distance_m <= _ARRIVED_SHARE * plan.tolerance_m:
                    break
                if corrections == plan.max_corrections:
                    if distance_m <= plan.tolerance_m:
                        break
                    raise self._not_reached(
                        f"it is {distance_m:.2e} m from the middle after {corrections} corrections"
                    )
                self._correct(offset, approach_m)
                corrections += 1
            frames["final"] = plan.final.take(scope)
        except FeatureNotReachedError as failure:
            if not plan.keep_going:
                raise
            error = failure
        return StepRecord(
            {
                "stage": StageFacts.of(scope.stage()).model_dump(mode="json"),
                "corrections": corrections,
                "offset_m": None if offset is None else [float(value) for value in offset],
                "beam_shift_m": [float(value) for value in self._shift_m],
                "error": None if error is None else error.report().model_dump(mode="json"),
            },
            frames,
        )

    def _look(self, search_m: float) -> _Float:
        """How far (x, y) in stage axes the feature lies from the middle of the field now."""
        plan = self._plan
        field_m = self._overview.array.shape[1] * self._pixel_m / plan.verify_zoom
        frame = plan.overview.model_copy(update={"field_of_view_m": field_m}).take(self._scope)
        seen = resampled(frame, self._pixel_m)
        middle = (np.array(seen.shape) - 1) / 2
        expected = self._feature_px - middle
        found, refusal = plan.matching.register(
            self._overview.array,
            seen,
            expected_px=(float(expected[0]), float(expected[1])),
            search_px=search_m / self._pixel_m + 2.0,
        )
        if found is None or refusal is not None:
            raise self._not_reached(f"the field is not recognised in the overview: {refusal}")
        offset_px = self._feature_px - (np.array(found.offset_px) + middle)
        return plan.geometry.to_stage_m(offset_px * self._pixel_m, self._rotation)

    def _correct(self, offset_m: _Float, approach_m: float) -> None:
        plan = self._plan
        wanted = self._shift_m + offset_m
        within = float(np.hypot(*wanted)) <= plan.max_beam_shift_m
        if self._may_shift and (within or plan.corrector == "beam"):
            if not within:
                raise self._not_reached(
                    f"it would need a beam shift of {float(np.hypot(*wanted)):.2e} m, over the limit"
                )
            self._shift(wanted)
        else:
            self._target_m = self._target_m + offset_m
            self._go(approach_m)

    def _go(self, approach_m: float) -> None:
        x_m, y_m = (float(value) for value in self._target_m)
        if approach_m > 0:
            self._scope.move_stage(x_m=x_m - approach_m, y_m=y_m - approach_m)
        self._scope.move_stage(x_m=x_m, y_m=y_m)

    def _shift(self, shift_m: _Float) -> None:
        self._scope.shift_beam(x_m=float(shift_m[0]), y_m=float(shift_m[1]))
        self._shift_m = shift_m

    def _not_reached(self, why: str) -> FeatureNotReachedError:
        y_px, x_px = (float(value) for value in self._feature_px)
        return FeatureNotReachedError(
            f"The feature at row {y_px:.1f}, column {x_px:.1f} of the overview was not reached: {why}.",
            safe="the beam is blanked, the stage stands still.",
            next_step="take a new overview, or allow more corrections or a larger tolerance.",
            y_px=y_px,
            x_px=x_px,
        )


def _rows(features: object) -> _Float:
    return np.asarray(features, np.float64).reshape(-1, 2)


def _visit_of(feature: _Float, record: StepRecord) -> FeatureVisit:
    facts = record.facts
    offset, shift = facts["offset_m"], np.asarray(facts["beam_shift_m"], np.float64)
    measured = None if offset is None else np.asarray(offset, np.float64)
    error = facts["error"]
    return FeatureVisit(
        y_px=float(feature[0]),
        x_px=float(feature[1]),
        corrections=int(str(facts["corrections"])),
        offset_m=None if measured is None else (float(measured[0]), float(measured[1])),
        beam_shift_m=(float(shift[0]), float(shift[1])),
        stage=StageFacts.model_validate(facts["stage"]),
        frame=record.frames.get("final"),
        error=None if error is None else ErrorReport.model_validate(error),
    )
