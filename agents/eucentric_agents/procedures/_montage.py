"""Automated montage: tiles on a grid, registered where they overlap, against the stage's error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue

from eucentric_core import Axis, ConfigurationError, DataFormatError, Frame, Microscope
from eucentric_core.vocabulary import MoveReport

from ._checkpoint import StepRecord
from ._exposure import Exposure
from ._extras import needs
from ._montage_plan import MontagePlan
from ._montage_result import MontageResult, MontageTile, TilePair
from ._positions import Solution, solve_positions
from ._registration import Registration
from ._run import Procedure, Steps
from ._stage_facts import StageFacts
from ._stitch import stitch

__all__ = ["Montage", "assemble"]

_Float = npt.NDArray[np.float64]
_SAME_ROTATION_RAD = 1e-6

_Found = tuple[Registration | None, str | None]


class Montage(Procedure[MontageResult]):
    """Takes the tiles of a plan and puts them together.

    Tile positions are found by registering neighbours where they overlap, and robust least squares against
    what the stage reported. A pair that cannot be registered is listed in the result, with the reason.
    """

    name = "montage"

    def __init__(self, plan: MontagePlan) -> None:
        self.plan = plan

    def parameters(self) -> Mapping[str, JsonValue]:
        """The plan, as plain JSON."""
        return self.plan.model_dump(mode="json")

    def perform(self, scope: Microscope, steps: Steps) -> MontageResult:
        """Take the tiles and assemble them.

        Raises:
            ConfigurationError: the tiles could not be put together: nothing was exposed.
            UnsupportedError: scikit-image or scipy is not installed, or a verb is missing.
            EucentricError: a move or a scan failed.
        """
        for module in ("skimage.registration", "scipy.ndimage"):
            needs(module)
        plan = self.plan
        places = plan.places
        steps.total = 1 + len(places)
        origin = steps.do("origin", lambda: self._origin(scope)).facts
        field_m, rotation = _number(origin, "field_of_view_m"), _number(origin, "scan_rotation_rad")
        targets = plan.targets_m((_number(origin, "x_m"), _number(origin, "y_m")), field_m, rotation)
        # As it was at the start: a montage that goes on later may find another magnification.
        exposure = plan.exposure.model_copy(update={"field_of_view_m": field_m})
        records = [
            steps.do(
                f"tile {place.row},{place.column}",
                lambda target=target: self._tile(scope, target, exposure),  # type: ignore[misc]
                picture="tile",
            )
            for place, target in zip(places, targets, strict=True)
        ]
        frames = [record.frames["tile"] for record in records]
        stages = [StageFacts.model_validate(dict(record.facts)) for record in records]
        return assemble(plan, frames, stages)

    def _origin(self, scope: Microscope) -> StepRecord:
        plan = self.plan
        if plan.exposure.field_of_view_m is not None:
            scope.set_field_of_view(plan.exposure.field_of_view_m)
        optics, stage = scope.state().optics, scope.stage()
        field_m = optics.field_of_view_m or plan.exposure.field_of_view_m
        if field_m is None:
            raise ConfigurationError(
                "The instrument does not say its field of view.",
                safe="nothing was exposed or moved.",
                next_step="give Exposure(field_of_view_m=...).",
            )
        plan.require_feasible(field_of_view_m=field_m, tolerance_m=stage.tolerance_m)
        x_m, y_m = plan.centre_m or (stage.commanded.x_m, stage.commanded.y_m)
        targets = plan.targets_m((x_m, y_m), field_m, optics.scan_rotation_rad)
        plan.require_reachable(targets, scope.capabilities.stage_limits)
        return StepRecord(
            {
                "x_m": x_m,
                "y_m": y_m,
                "field_of_view_m": field_m,
                "scan_rotation_rad": optics.scan_rotation_rad,
            }
        )

    def _tile(self, scope: Microscope, target_m: _Float, exposure: Exposure) -> StepRecord:
        x_m, y_m = (float(value) for value in target_m)
        if self.plan.approach_m > 0:
            scope.move_stage(x_m=x_m - self.plan.approach_m, y_m=y_m - self.plan.approach_m)
        report = scope.move_stage(x_m=x_m, y_m=y_m)
        frame = exposure.take(scope)
        return StepRecord(_facts(report), {"tile": frame})


def assemble(plan: MontagePlan, frames: Sequence[Frame], stages: Sequence[StageFacts]) -> MontageResult:
    """Put tiles together that were taken in the order of `plan.places`.

    Args:
        plan: the grid.
        frames: the tiles, all of one shape and pixel size.
        stages: what the stage said at each.

    Raises:
        DataFormatError: the tiles differ in shape or pixel size.
        UnsupportedError: scikit-image or scipy is not installed.
    """
    pixel_m, rotation = _common_calibration(frames)
    reported = np.array([(stage.reported_x_m, stage.reported_y_m) for stage in stages])
    prior_px = plan.geometry.to_image_m(reported, rotation) / pixel_m
    sigma_px = max(1.0, max(stage.tolerance_m for stage in stages) / pixel_m)
    search_px = 2.0 + (2 * sigma_px if plan.search_m is None else plan.search_m / pixel_m)
    found = [_register_pair(plan, frames, prior_px, pair, search_px) for pair in plan.neighbours]
    accepted = [
        (pair, registration)
        for pair, (registration, refusal) in zip(plan.neighbours, found, strict=True)
        if registration is not None and refusal is None
    ]
    solution = solve_positions(
        prior_px,
        sigma_px,
        np.array([pair for pair, _ in accepted], np.int64).reshape(-1, 2),
        np.array([registration.offset_px for _, registration in accepted], np.float64).reshape(-1, 2),
        np.array([registration.ncc - max(registration.rival_ncc, 0.0) for _, registration in accepted]),
    )
    mosaic, _weight = stitch(lambda index: frames[index].array, solution.positions_px)
    pairs = _pair_table(
        plan, found, dict(zip((pair for pair, _ in accepted), _verdicts(solution), strict=True))
    )
    return MontageResult(
        frame=_mosaic_frame(plan, frames[0], mosaic, solution.positions_px.min(axis=0) * pixel_m),
        tiles=_tile_table(plan, stages, solution, pairs, pixel_m, rotation),
        pairs=pairs,
    )


def _register_pair(
    plan: MontagePlan, frames: Sequence[Frame], prior_px: _Float, pair: tuple[int, int], search_px: float
) -> _Found:
    first, second = pair
    expected = prior_px[second] - prior_px[first]
    return plan.matching.register(
        frames[first].array,
        frames[second].array,
        expected_px=(float(expected[0]), float(expected[1])),
        search_px=search_px,
    )


def _verdicts(solution: Solution) -> list[tuple[tuple[float, float], bool]]:
    return [
        ((float(residual[0]), float(residual[1])), bool(believed))
        for residual, believed in zip(solution.residuals_px, solution.believed, strict=True)
    ]


def _pair_table(
    plan: MontagePlan,
    found: Sequence[_Found],
    verdicts: Mapping[tuple[int, int], tuple[tuple[float, float], bool]],
) -> tuple[TilePair, ...]:
    table = []
    for pair, (registration, refusal) in zip(plan.neighbours, found, strict=True):
        if registration is None:
            table.append(TilePair(*pair, reason=refusal))
            continue
        residual, believed = verdicts.get(pair, (None, False))
        reason = "contradicts the other pairs" if refusal is None and not believed else refusal
        table.append(
            TilePair(
                *pair, registration.offset_px, registration.ncc, registration.rival_ncc, residual, reason
            )
        )
    return tuple(table)


def _tile_table(
    plan: MontagePlan,
    stages: Sequence[StageFacts],
    solution: Solution,
    pairs: Sequence[TilePair],
    pixel_m: float,
    rotation: float,
) -> tuple[MontageTile, ...]:
    registered = {index for pair in pairs if pair.used for index in (pair.first, pair.second)}
    corner = solution.positions_px.min(axis=0)
    positions_m = plan.geometry.to_stage_m(solution.positions_px * pixel_m, rotation)
    return tuple(
        MontageTile(
            row=place.row,
            column=place.column,
            stage=stage,
            x_m=float(position[0]),
            y_m=float(position[1]),
            y_px=float(pixel[0] - corner[0]),
            x_px=float(pixel[1] - corner[1]),
            registered=index in registered,
        )
        for index, (place, stage, position, pixel) in enumerate(
            zip(plan.places, stages, positions_m, solution.positions_px, strict=True)
        )
    )


def _mosaic_frame(
    plan: MontagePlan, first: Frame, mosaic: npt.NDArray[np.float32], corner_m: _Float
) -> Frame:
    pixel_m = first.header.pixel_size_m
    ny, nx = first.array.shape
    # Image coordinates whose origin is the stage's: the middle of a tile lies where its stage position is.
    corner = corner_m - np.array([(ny - 1) / 2, (nx - 1) / 2]) * pixel_m
    axes = tuple(
        Axis(name=name, unit="m", scale=pixel_m, offset=float(offset))
        for name, offset in zip(("y", "x"), corner, strict=True)
    )
    optics = first.header.optics.model_copy(update={"field_of_view_m": mosaic.shape[1] * pixel_m})
    header = first.header.model_copy(
        update={
            "stream": "montage",
            "shape": mosaic.shape,
            "dtype": mosaic.dtype.name,
            "axes": axes,
            "optics": optics,
        }
    )
    return Frame(header, mosaic)


def _common_calibration(frames: Sequence[Frame]) -> tuple[float, float]:
    first = frames[0].header
    for frame in frames[1:]:
        header = frame.header
        turned = abs(header.optics.scan_rotation_rad - first.optics.scan_rotation_rad) > _SAME_ROTATION_RAD
        rescaled = not np.isclose(header.pixel_size_m, first.pixel_size_m, rtol=1e-6, atol=0.0)
        if header.shape != first.shape or rescaled or turned:
            raise DataFormatError(
                f"Tile {header.sequence} ({header.shape}, {header.pixel_size_m:.3e} m per pixel, turned by "
                f"{header.optics.scan_rotation_rad:.3g} rad) is not like the first ({first.shape}, "
                f"{first.pixel_size_m:.3e} m, {first.optics.scan_rotation_rad:.3g} rad).",
                safe="the beam is blanked; all tiles are kept.",
                next_step="take the montage again without changing magnification or scan on the way.",
            )
    return first.pixel_size_m, first.optics.scan_rotation_rad


def _facts(report: MoveReport) -> dict[str, JsonValue]:
    return StageFacts.of(report).model_dump(mode="json")


def _number(facts: Mapping[str, JsonValue], key: str) -> float:
    return float(str(facts[key]))
