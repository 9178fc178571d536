"""Where one image lies on another: a search over the displacements that the stage allows, then refinement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ._extras import needs

__all__ = ["Registration", "register"]

_Image = npt.NDArray[np.generic]
_Float = npt.NDArray[np.float64]
_Spans = tuple[slice, slice]

_UPSAMPLING = 20
_TAPER = 0.25
_REACH_SIGMAS = 3.0
_MAX_REFINEMENT_PX = 1.5
_MIN_CONTRAST = 1e-9


@dataclass(frozen=True, slots=True)
class Registration:
    """Pixel (0, 0) of the moving image lies at `offset_px` (y, x) of the reference.

    `ncc` is the normalised cross-correlation of the overlap there, in [-1, 1]; `rival_ncc` the highest one
    at a clearly different displacement: a periodic image has a rival as good as the match itself.
    `overlap_px` is how many pixels overlap.
    """

    offset_px: tuple[float, float]
    ncc: float
    rival_ncc: float
    overlap_px: int


def register(
    reference: _Image,
    moving: _Image,
    *,
    expected_px: tuple[float, float] = (0.0, 0.0),
    search_px: float,
    smoothing_px: float = 2.0,
    min_overlap_px: int = 400,
) -> Registration | None:
    """Find `moving` on `reference`, both (ny, nx), at most `search_px` from where it is expected.

    The search maximises the normalised cross-correlation of the overlap over all whole displacements of
    the window (computed by FFT: Padfield, IEEE Trans. Image Process. 21, 2706, 2012; Lewis 1995). The
    refinement is scikit-image's upsampled cross-correlation of that overlap (Guizar-Sicairos et al., Opt.
    Lett. 33, 156, 2008) with `normalization=None`: whitening amplifies the noise of smooth images.

    Args:
        reference: image that stays.
        moving: image to be found on it.
        expected_px: where its pixel (0, 0) is expected (y, x).
        search_px: half width of the window of displacements.
        smoothing_px: standard deviation of the Gaussian that both images are smoothed by first.
        min_overlap_px: displacements with fewer overlapping pixels are not considered.

    Returns:
        The best displacement, however poor its correlation; None if no displacement has enough overlap, or
        the images have no contrast there.

    Raises:
        UnsupportedError: scikit-image or scipy is not installed.
    """
    spans = _spans(reference.shape, moving.shape, expected_px, search_px)
    if spans is None:
        return None
    (rows, columns), window = spans
    cut_reference = _smoothed(reference, (rows[0], columns[0]), smoothing_px)
    cut_moving = _smoothed(moving, (rows[1], columns[1]), smoothing_px)
    # Displacement of the cut images at which that of the whole ones is zero.
    shift = (rows[1].start - rows[0].start, columns[1].start - columns[0].start)
    low = (window[0][0] + shift[0], window[1][0] + shift[1])
    high = (window[0][1] + shift[0], window[1][1] + shift[1])
    found = _search(cut_reference, cut_moving, low, high, smoothing_px, min_overlap_px)
    if found is None:
        return None
    offset, ncc, rival = found
    overlap_reference, overlap_moving = _overlap(cut_reference, cut_moving, offset)
    fine = _refine(overlap_reference, overlap_moving)
    return Registration(
        offset_px=(offset[0] - shift[0] + fine[0], offset[1] - shift[1] + fine[1]),
        ncc=ncc,
        rival_ncc=rival,
        overlap_px=overlap_reference.size,
    )


def _spans(
    reference: tuple[int, ...], moving: tuple[int, ...], expected: tuple[float, float], search: float
) -> tuple[tuple[_Spans, _Spans], tuple[tuple[int, int], tuple[int, int]]] | None:
    """Per axis, what of each image can overlap in the window, and the window's displacements (low, high)."""
    spans: list[_Spans] = []
    window: list[tuple[int, int]] = []
    for n_ref, n_mov, middle in zip(reference, moving, expected, strict=True):
        low, high = int(np.floor(middle - search)), int(np.ceil(middle + search))
        of_reference = slice(max(0, low), min(n_ref, high + n_mov))
        of_moving = slice(max(0, -high), min(n_mov, n_ref - low))
        if of_reference.stop <= of_reference.start or of_moving.stop <= of_moving.start:
            return None
        spans.append((of_reference, of_moving))
        window.append((low, high))
    return (spans[0], spans[1]), (window[0], window[1])


def _smoothed(image: _Image, place: _Spans, smoothing: float) -> _Float:
    """A part of the image, smoothed as the whole would be."""
    if smoothing == 0:
        return np.asarray(image[place], np.float64)
    margin = int(np.ceil(_REACH_SIGMAS * smoothing))
    first = [max(0, span.start - margin) for span in place]
    wider = np.asarray(
        image[first[0] : place[0].stop + margin, first[1] : place[1].stop + margin], np.float64
    )
    smooth = needs("scipy.ndimage").gaussian_filter(wider, smoothing, mode="nearest", truncate=_REACH_SIGMAS)
    top, left = (span.start - start for span, start in zip(place, first, strict=True))
    height, width = (span.stop - span.start for span in place)
    return smooth[top : top + height, left : left + width]


def _search(
    reference: _Float,
    moving: _Float,
    low: tuple[int, int],
    high: tuple[int, int],
    smoothing: float,
    min_overlap: int,
) -> tuple[tuple[int, int], float, float] | None:
    scores = _ncc_everywhere(reference, moving, min_overlap)
    # Row r of `scores` is the displacement r - (n_moving - 1).
    first = [1 - side for side in moving.shape]
    start = [max(0, low[axis] - first[axis]) for axis in range(2)]
    stop = [max(0, high[axis] - first[axis] + 1) for axis in range(2)]
    scores = scores[start[0] : stop[0], start[1] : stop[1]]
    if not scores.size or not np.isfinite(scores).any():
        return None
    row, column = (int(i) for i in np.unravel_index(int(np.nanargmax(scores)), scores.shape))
    offset = (row + first[0] + start[0], column + first[1] + start[1])
    return offset, float(scores[row, column]), _rival(scores, (row, column), smoothing)


def _ncc_everywhere(reference: _Float, moving: _Float, min_overlap: int) -> _Float:
    """Normalised cross-correlation at all displacements; NaN where overlap or contrast is too small."""
    fft = needs("scipy.fft")
    shape = tuple(r + m - 1 for r, m in zip(reference.shape, moving.shape, strict=True))
    fast = tuple(fft.next_fast_len(n, real=True) for n in shape)
    # Sums of squares are differences of large numbers: keep them small.
    reference = reference - reference.mean()
    moving = moving - moving.mean()

    def forward(image: _Float) -> Any:
        return fft.rfft2(image, fast)

    def back(spectrum: Any) -> _Float:
        full = fft.irfft2(spectrum, fast)
        return full[: shape[0], : shape[1]]

    ones_r, ones_m = forward(np.ones_like(reference)), forward(np.ones_like(moving)[::-1, ::-1])
    ref, mov = forward(reference), forward(moving[::-1, ::-1])
    count = np.rint(back(ones_r * ones_m))
    sum_r, sum_m = back(ref * ones_m), back(ones_r * mov)
    with np.errstate(invalid="ignore", divide="ignore"):
        covariance = back(ref * mov) - sum_r * sum_m / count
        spread_r = back(forward(reference**2) * ones_m) - sum_r**2 / count
        spread_m = back(ones_r * forward(moving[::-1, ::-1] ** 2)) - sum_m**2 / count
        flat = _MIN_CONTRAST * max(float(np.sum(reference**2)), float(np.sum(moving**2)), 1e-300)
        valid = (count >= min_overlap) & (spread_r > flat) & (spread_m > flat)
        scores = covariance / np.sqrt(spread_r * spread_m)
    return np.where(valid, np.clip(scores, -1.0, 1.0), np.nan)


def _rival(scores: _Float, peak: tuple[int, int], smoothing: float) -> float:
    """Highest local maximum that is not on the flank of the peak; -1 if there is none."""
    ndimage = needs("scipy.ndimage")
    filled = np.where(np.isfinite(scores), scores, -1.0)
    reach = max(2, round(2 * smoothing))
    tops = filled == ndimage.maximum_filter(filled, size=2 * reach + 1, mode="constant", cval=-1.0)
    tops[0, :] = tops[-1, :] = tops[:, 0] = tops[:, -1] = False
    tops[peak] = False
    return float(filled[tops].max(initial=-1.0))


def _overlap(reference: _Float, moving: _Float, offset: tuple[int, int]) -> tuple[_Float, _Float]:
    cuts_r, cuts_m = [], []
    for axis in range(2):
        start = max(0, offset[axis])
        stop = min(reference.shape[axis], offset[axis] + moving.shape[axis])
        cuts_r.append(slice(start, stop))
        cuts_m.append(slice(start - offset[axis], stop - offset[axis]))
    return reference[tuple(cuts_r)], moving[tuple(cuts_m)]


def _refine(reference: _Float, moving: _Float) -> tuple[float, float]:
    registration = needs("skimage.registration")
    # The overlap of two tiles is a narrow strip, and its ends do not continue into each other.
    taper = np.multiply.outer(*(_taper(side) for side in reference.shape))
    shift, _error, _phase = registration.phase_cross_correlation(
        (reference - reference.mean()) * taper,
        (moving - moving.mean()) * taper,
        upsample_factor=_UPSAMPLING,
        normalization=None,
    )
    fine = (float(shift[0]), float(shift[1]))
    # The search has found the right pixel. Further than that, the periodic correlation has wrapped around.
    return fine if max(map(abs, fine)) <= _MAX_REFINEMENT_PX else (0.0, 0.0)


def _taper(length: int) -> _Float:
    """A tapered cosine (Tukey) window."""
    ramp = (np.arange(length) + 0.5) / max(1.0, _TAPER / 2 * length)
    return 0.5 - 0.5 * np.cos(np.pi * np.minimum(1.0, np.minimum(ramp, ramp[::-1])))
