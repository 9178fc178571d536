"""Translations that take columns to columns, found fast enough for every frame of a stream."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SAMPLE = 64
_REACH = 4.2  # in units of the usual distance of nearest neighbours
_SAME = 0.15  # of that distance: translations closer than this are one
_COMMON_SHARE = 0.6  # of the columns that have room for a translation
_FEWEST_WITH_ROOM = 12
_MOST = 12
_LARGEST_REACH_PX = 400
_PARALLEL = 0.3  # sine of the angle below which two translations do not span the plane


def common_translations(
    positions_px: NDArray[np.floating], class_id: NDArray[np.integer]
) -> NDArray[np.float64]:
    """The most common translations of columns to others of their class, at most about four neighbours long.

    A two-dimensional histogram of the offsets between a sample of the columns and all columns, whose full
    bins are the translations; :func:`eucentric_models.lattice_fit.fit_lattice` is more exact and slower.

    Args:
        positions_px: (n, 2), in any order.
        class_id: (n,).

    Returns:
        (k, 2), at most 12, the shortest first, one of each pair of opposites; none where there is no
        lattice, or several.
    """
    points = np.asarray(positions_px, np.float64)
    if len(points) < _FEWEST_WITH_ROOM:
        return np.empty((0, 2))
    # At random, since any order may go by class; always the same, since results must repeat.
    rows = np.random.default_rng(0).permutation(len(points))[:_SAMPLE]
    sample = points[rows]
    along_y, along_x = (points[None, :, axis] - sample[:, None, axis] for axis in (0, 1))
    squared = along_y * along_y + along_x * along_x
    squared[squared == 0] = np.inf
    nearest = float(np.sqrt(np.median(squared.min(axis=1))))
    reach = min(_REACH * nearest, _LARGEST_REACH_PX)
    near = squared <= reach * reach
    near &= np.asarray(class_id)[None] == np.asarray(class_id)[rows, None]
    offsets = np.stack([along_y[near], along_x[near]], axis=1)
    box = max(1, round(_SAME * nearest))
    count = _in_boxes(offsets, int(np.ceil(reach)) + box + 1, box)
    middle = count.shape[0] // 2
    low, high = points.min(axis=0) - box, points.max(axis=0) + box
    found: list[NDArray[np.float64]] = []
    while len(found) < _MOST:
        row, column = np.unravel_index(int(count.argmax()), count.shape)
        if count[row, column] < _COMMON_SHARE * _FEWEST_WITH_ROOM:
            break
        place = np.array([row - middle, column - middle], np.float64)
        moved = sample + place
        room = int(np.all((moved >= low) & (moved <= high), axis=1).sum())
        if room >= _FEWEST_WITH_ROOM and count[row, column] >= _COMMON_SHARE * room:
            there = np.abs(offsets - place).max(axis=1) <= box + 0.5
            found.append(offsets[there].mean(axis=0))
        for y, x in ((row, column), (2 * middle - row, 2 * middle - column)):
            count[max(0, y - 2 * box) : y + 2 * box + 1, max(0, x - 2 * box) : x + 2 * box + 1] = 0
    return np.array(sorted(found, key=lambda one: float(np.hypot(*one)))).reshape(-1, 2)


def lattice_translations(common_px: NDArray[np.floating], most: int) -> NDArray[np.float64]:
    """The shortest translations of the lattice that some translations span.

    Args:
        common_px: (k, 2), the shortest first, as :func:`common_translations` gives them; the first two that
            are not parallel span the lattice.
        most: how many at most.

    Returns:
        (m, 2), the shortest first, one of each pair of opposites; none where nothing spans the plane.
    """
    if not len(common_px):
        return np.empty((0, 2))
    lengths = np.hypot(*np.transpose(common_px))
    crossed = np.abs(common_px[0][0] * common_px[:, 1] - common_px[0][1] * common_px[:, 0])
    rows = np.flatnonzero(crossed > _PARALLEL * lengths[0] * lengths)
    if not len(rows):
        return np.empty((0, 2))
    # Of a basis of shortest vectors, the `most` shortest sums have coefficients up to about sqrt(most).
    reach = int(np.ceil(np.sqrt(2 * most)))
    steps = np.arange(-reach, reach + 1)
    first, second = (grid.ravel() for grid in np.meshgrid(steps, steps, indexing="ij"))
    half = (first > 0) | ((first == 0) & (second > 0))
    sums = first[half, None] * common_px[0] + second[half, None] * common_px[rows[0]]
    order = np.argsort(np.hypot(*sums.T), kind="stable")[:most]
    return np.asarray(sums[order], np.float64)


def partners(
    positions_px: NDArray[np.floating], class_id: NDArray[np.integer], translations_px: NDArray[np.floating]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Which column lies one translation behind, and which one before, each column.

    Args:
        positions_px: (n, 2).
        class_id: (n,); partners are of the same class.
        translations_px: (k, 2).

    Returns:
        Two (k, n) arrays of rows, -1 where there is none.
    """
    points = np.asarray(positions_px, np.float64)
    if not len(translations_px):
        none = np.empty((0, len(points)), np.intp)
        return none, none
    box = max(1, round(_SAME * float(np.hypot(*np.transpose(translations_px)).min())))
    # A picture of row numbers answers who is at a place without a search.
    margin = int(np.ceil(np.abs(translations_px).max())) + box + 2
    corner = np.floor(points.min(axis=0)) - margin
    places = np.rint(points - corner).astype(np.intp)
    rows = np.full(places.max(axis=0) + margin + 2, -1, np.intp)
    for dy in range(-box, box + 1):
        for dx in range(-box, box + 1):
            rows[places[:, 0] + dy, places[:, 1] + dx] = np.arange(len(points))

    picture, width = rows.ravel(), rows.shape[1]
    start = places @ (width, 1)

    def at(steps: NDArray[np.intp]) -> NDArray[np.intp]:
        row = picture[start + (steps @ (width, 1))[:, None]]
        return np.where((row >= 0) & (class_id[row] == class_id), row, -1)

    steps = np.rint(translations_px).astype(np.intp)
    return at(-steps), at(steps)


def _in_boxes(offsets: NDArray[np.float64], reach: int, box: int) -> NDArray[np.float64]:
    """How many offsets lie in the square of side ``2 box + 1`` around each whole-pixel offset."""
    side = 2 * reach + 1
    place = np.rint(offsets).astype(np.intp) + reach
    total = np.bincount(place[:, 0] * side + place[:, 1], minlength=side * side).reshape(side, side)
    for axis in (0, 1):
        sums = np.cumsum(np.pad(total, [(box + 1, box) if i == axis else (0, 0) for i in (0, 1)]), axis=axis)
        total = np.take(sums, np.arange(2 * box + 1, side + 2 * box + 1), axis=axis)
        total = total - np.take(sums, np.arange(side), axis=axis)
    return total.astype(np.float64)
