"""Linear incoherent image formation of annular dark-field STEM, in plain numpy.

The image is the projected scattering cross-section convolved with the intensity of the probe
(Nellist and Pennycook, Ultramicroscopy 78, 111, 1999).  The probe is a Gaussian core whose rms width adds in
quadrature the geometrical blur of defocus, plus a broad, weak tail.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from .contamination import Contamination
from .crystal import ProjectedColumns
from .scan_distortion import NO_DISTORTION, ScanDistortion

CROSS_SECTION_M2_PER_WEIGHT = 5.0e-25
"""Scattering cross-section into the annular detector per unit of ``Z**1.7``.

Order of magnitude of screened relativistic Rutherford scattering into 60 to 200 mrad at 80 kV:
``4 pi Z**2 gamma**2 / (a0**2 k**4) (1/theta1**2 - 1/theta2**2)`` is 5.2e-22 m^2 for Mo unscreened, and
``Z**1.7`` of Mo is 575.
"""
ELEMENTARY_CHARGE_C = 1.602176634e-19

_TABLE_ELECTRONS = 10
_LEVELS_PER_ELECTRON = 32
_QUANTILES = 4096


class ImagingConditions(BaseModel):
    """Everything that decides how a given crystal looks in one frame.

    Attributes:
        pixel_size_m: distance between scan positions, equal along y and x.
        probe_sigma_m: rms width of the in-focus probe along one axis.
        defocus_m: defocus; only its magnitude matters in this model.
        convergence_angle_rad: semi-angle; sets how fast defocus widens the probe.
        astigmatism_m: two-fold astigmatism, the half difference of the two line foci.
        astigmatism_angle_rad: direction of the first line focus, from x towards y.
        tail_fraction: share of the probe current in its tail.
        tail_width_ratio: width of the tail over that of the core.
        beam_current_a: probe current.
        dwell_time_s: time per scan position.
        background_fraction: share of the beam on the detector everywhere (support, contamination).
        collection_efficiency: share of the scattered electrons that is counted.
        jitter_rms_px: rms displacement of a whole scan row along x, at random.
        scan_distortion: displacement of the rows that the truth follows.
        contamination: film on the specimen; None for a clean one.
        detector_gain_counts_per_electron: gain.
        detector_offset_counts: reading without beam.
        detector_noise_counts: rms electronic noise.
        output: dtype of the frame.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pixel_size_m: float = Field(ge=1e-13, le=1e-6)
    probe_sigma_m: float = Field(ge=5e-12, le=2e-9)
    defocus_m: float = Field(default=0.0, ge=-1e-6, le=1e-6)
    convergence_angle_rad: float = Field(default=25e-3, gt=0, le=0.1)
    astigmatism_m: float = Field(default=0.0, ge=0, le=1e-6)
    astigmatism_angle_rad: float = Field(default=0.0, ge=-np.pi, le=np.pi)
    tail_fraction: float = Field(default=0.15, ge=0, le=0.9)
    tail_width_ratio: float = Field(default=3.0, ge=1, le=10)
    beam_current_a: float = Field(gt=0, le=1e-7)
    dwell_time_s: float = Field(gt=0, le=1.0)
    background_fraction: float = Field(default=1e-3, ge=0, le=1)
    collection_efficiency: float = Field(default=0.9, gt=0, le=1)
    jitter_rms_px: float = Field(default=0.0, ge=0, le=20)
    scan_distortion: ScanDistortion = NO_DISTORTION
    contamination: Contamination | None = None
    detector_gain_counts_per_electron: float = Field(default=50.0, gt=0, le=1e6)
    detector_offset_counts: float = Field(default=500.0, ge=0, le=1e6)
    detector_noise_counts: float = Field(default=10.0, ge=0, le=1e6)
    output: Literal["uint16", "float32"] = "uint16"

    @property
    def electrons_per_pixel(self) -> float:
        """Beam electrons that hit the specimen during one dwell time."""
        return self.beam_current_a * self.dwell_time_s / ELEMENTARY_CHARGE_C

    @property
    def dose_electrons_per_m2(self) -> float:
        """Electron fluence of one frame."""
        return self.electrons_per_pixel / self.pixel_size_m**2

    @property
    def probe_covariance_m2(self) -> tuple[float, float, float]:
        """Core covariance ``(yy, xx, yx)``.

        A uniformly filled disc of radius ``alpha |df|`` has rms width ``alpha |df| / 2`` along one axis.
        """
        half = self.convergence_angle_rad / 2
        first = self.probe_sigma_m**2 + (half * (self.defocus_m + self.astigmatism_m)) ** 2
        second = self.probe_sigma_m**2 + (half * (self.defocus_m - self.astigmatism_m)) ** 2
        c, s = np.cos(self.astigmatism_angle_rad), np.sin(self.astigmatism_angle_rad)
        return (
            float(first * s * s + second * c * c),
            float(first * c * c + second * s * s),
            float((first - second) * s * c),
        )


class SimulatedFrame(NamedTuple):
    """A frame with its ground truth.

    Attributes:
        frame: (ny, nx) in detector counts, uint16 or float32.
        truth: (n, 3) float32 rows ``y_px, x_px, class_id`` of the columns inside the frame.
    """

    frame: NDArray[np.uint16] | NDArray[np.float32]
    truth: NDArray[np.float32]


def form_frame(
    crystal: ProjectedColumns,
    conditions: ImagingConditions,
    shape: tuple[int, int],
    rng: np.random.Generator,
    *,
    centre_m: tuple[float, float] = (0.0, 0.0),
    background: NDArray[np.floating] | None = None,
) -> SimulatedFrame:
    """Acquire one simulated frame with dose noise, scan jitter and detector noise.

    Args:
        crystal: specimen.
        conditions: optics, scan and detector.
        shape: ``(ny, nx)`` in pixels, each in [8, 8192].
        rng: source of all noise.
        centre_m: ``[y, x]`` on the crystal that lies in the middle of the frame.
        background: (ny, nx) share of the beam that contamination or support scatters on the detector, on top
            of ``conditions.background_fraction``; None for none.

    Raises:
        ValueError: the shape is out of bounds.
    """
    jitter = rng.normal(0.0, conditions.jitter_rms_px, shape[0]) if conditions.jitter_rms_px else None
    shift = jitter
    if conditions.scan_distortion != NO_DISTORTION:
        slow = conditions.scan_distortion.displacement_px(np.arange(shape[0], dtype=np.float64), shape[0])
        shift = slow if jitter is None else slow + jitter
    signal = expected_signal(crystal, conditions, shape, centre_m=centre_m, row_shift_px=shift)
    if background is not None:
        signal += background
    if conditions.contamination is not None:
        signal += conditions.contamination.background(shape, conditions.pixel_size_m, rng)
    signal *= conditions.electrons_per_pixel * conditions.collection_efficiency
    truth = truth_rows(crystal, conditions.pixel_size_m, shape, centre_m=centre_m)
    # Where a column appears, not where it stands: nobody could tell from the frame alone.
    truth[:, 1] += conditions.scan_distortion.displacement_px(truth[:, 0], shape[0])
    return SimulatedFrame(detect(signal, conditions, rng), truth)


def detect(
    signal: NDArray[np.float32], conditions: ImagingConditions, rng: np.random.Generator
) -> NDArray[np.uint16] | NDArray[np.float32]:
    """What the detector reads where it is expected to count `signal` electrons, with all its noise.

    Args:
        signal: expected electrons, any shape; may be overwritten.
        conditions: gain, offset, noise and dtype of the detector.
        rng: source of the noise.
    """
    counts = _dose_noise(signal, rng)
    counts *= np.float32(conditions.detector_gain_counts_per_electron)
    counts += np.float32(conditions.detector_offset_counts)
    if conditions.detector_noise_counts:
        counts += np.float32(conditions.detector_noise_counts) * rng.standard_normal(signal.shape, np.float32)
    if conditions.output == "float32":
        return counts
    np.clip(np.rint(counts, out=counts), 0, 65535, out=counts)
    return counts.astype(np.uint16)


def expected_signal(
    crystal: ProjectedColumns,
    conditions: ImagingConditions,
    shape: tuple[int, int],
    *,
    centre_m: tuple[float, float] = (0.0, 0.0),
    row_shift_px: NDArray[np.floating] | None = None,
) -> NDArray[np.float32]:
    """Noise-free share of the beam that reaches the detector, (ny, nx) float32.

    Columns are deposited with cubic B-splines and the spline is divided out in Fourier space (as in smooth
    particle-mesh Ewald summation), so the sub-pixel position is exact as long as the probe is sampled,
    that is wider than about half a pixel rms.

    Args:
        crystal: specimen.
        conditions: optics and pixel size.
        shape: ``(ny, nx)`` in pixels, each in [8, 8192].
        centre_m: ``[y, x]`` on the crystal that lies in the middle of the frame.
        row_shift_px: (ny,) displacement of each row along x.

    Raises:
        ValueError: the shape is out of bounds.
    """
    if not all(8 <= side <= 8192 for side in shape):
        raise ValueError(f"shape must be within [8, 8192] pixels, got {shape}")
    margin, padded = padding(conditions, shape)
    y, x, rows = _pixel_coordinates(crystal, conditions.pixel_size_m, shape, centre_m, margin - 3)
    impulses = _deposit(y + margin, x + margin, crystal.weight[rows], padded)
    image = blurred(impulses, conditions, shape, margin, row_shift_px=row_shift_px, splines=True)
    image *= np.float32(CROSS_SECTION_M2_PER_WEIGHT / conditions.pixel_size_m**2)
    image += np.float32(conditions.background_fraction)
    return np.maximum(image, 0, out=image)


def padding(conditions: ImagingConditions, shape: tuple[int, int]) -> tuple[int, tuple[int, int]]:
    """How many pixels to add before a frame, and its size with padding, before it is `blurred`."""
    widest_px = np.sqrt(max(conditions.probe_covariance_m2[:2])) / conditions.pixel_size_m
    # Four rms widths of the core keep the periodic wrap of the transform out of the frame.
    margin = int(np.clip(np.ceil(4 * widest_px), 4, max(shape)))
    return margin, (_fast_length(shape[0] + 2 * margin), _fast_length(shape[1] + 2 * margin))


def blurred(
    padded: NDArray[np.float32],
    conditions: ImagingConditions,
    shape: tuple[int, int],
    margin_px: int,
    *,
    row_shift_px: NDArray[np.floating] | None = None,
    splines: bool = False,
) -> NDArray[np.float32]:
    """The frame that lies `margin_px` inside a padded image, convolved with the probe.

    Args:
        padded: image of the size that `padding` gives.
        conditions: optics and pixel size.
        shape: ``(ny, nx)`` of the frame.
        margin_px: as `padding` gives it.
        row_shift_px: (ny,) displacement of each row along x.
        splines: the image was deposited with cubic B-splines, which are divided out.
    """
    spectrum = np.fft.rfft2(padded)
    spectrum *= _transfer_function(
        (padded.shape[0], padded.shape[1]),
        conditions.pixel_size_m,
        conditions.probe_covariance_m2,
        conditions.tail_fraction,
        conditions.tail_width_ratio,
        splines,
    )
    partial = np.fft.ifft(spectrum, axis=0)[margin_px : margin_px + shape[0]]
    if row_shift_px is not None:
        partial *= _row_phases(row_shift_px, padded.shape[1])
    image = np.fft.irfft(partial, n=padded.shape[1], axis=1)[:, margin_px : margin_px + shape[1]]
    return image.astype(np.float32)


def truth_rows(
    crystal: ProjectedColumns,
    pixel_size_m: float,
    shape: tuple[int, int],
    *,
    centre_m: tuple[float, float] = (0.0, 0.0),
) -> NDArray[np.float32]:
    """Columns inside the frame: (n, 3) float32 rows ``y_px, x_px, class_id``, before scan jitter."""
    y, x, rows = _pixel_coordinates(crystal, pixel_size_m, shape, centre_m, 0)
    return np.stack([y, x, crystal.class_id[rows]], axis=1).astype(np.float32)


def _pixel_coordinates(
    crystal: ProjectedColumns,
    pixel_size_m: float,
    shape: tuple[int, int],
    centre_m: tuple[float, float],
    margin_px: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]]:
    middle = ((shape[0] - 1) / 2, (shape[1] - 1) / 2)
    half = ((middle[0] + margin_px) * pixel_size_m, (middle[1] + margin_px) * pixel_size_m)
    rows = crystal.rows_within(centre_m, half)
    offset = (crystal.positions_m[rows] - np.asarray(centre_m)) / pixel_size_m
    return offset[:, 0] + middle[0], offset[:, 1] + middle[1], rows


def _deposit(
    y: NDArray[np.float64], x: NDArray[np.float64], weight: NDArray[np.float32], shape: tuple[int, int]
) -> NDArray[np.float32]:
    y0, wy = _cubic_taps(y)
    x0, wx = _cubic_taps(x)
    taps = np.arange(-1, 3)
    flat = (y0[:, None, None] + taps[None, :, None]) * shape[1] + x0[:, None, None] + taps[None, None, :]
    values = weight[:, None, None] * wy[:, :, None] * wx[:, None, :]
    grid = np.bincount(flat.ravel(), weights=values.ravel(), minlength=shape[0] * shape[1])
    return grid.reshape(shape).astype(np.float32)


def _cubic_taps(position: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    base = np.floor(position).astype(np.intp)
    t = position - base
    weights = np.stack(
        [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1
    )
    return base, weights / 6


@lru_cache(maxsize=8)
def _transfer_function(
    shape: tuple[int, int],
    pixel_size_m: float,
    covariance_m2: tuple[float, float, float],
    tail_fraction: float,
    tail_width_ratio: float,
    splines: bool,
) -> NDArray[np.float32]:
    fy = np.fft.fftfreq(shape[0])[:, None]
    fx = np.fft.rfftfreq(shape[1])[None, :]
    yy, xx, yx = (value / pixel_size_m**2 for value in covariance_m2)
    exponent = -2 * np.pi**2 * (yy * fy**2 + xx * fx**2 + 2 * yx * fy * fx)
    probe = (1 - tail_fraction) * np.exp(exponent) + tail_fraction * np.exp(tail_width_ratio**2 * exponent)
    if splines:
        probe /= (np.sinc(fy) * np.sinc(fx)) ** 4
    transfer = probe.astype(np.float32)
    transfer.setflags(write=False)
    return transfer


def _row_phases(row_shift_px: NDArray[np.floating], width: int) -> NDArray[np.complex64]:
    angle = np.float32(-2 * np.pi) * np.multiply.outer(
        np.asarray(row_shift_px, np.float32), np.fft.rfftfreq(width).astype(np.float32)
    )
    phases = np.empty(angle.shape, np.complex64)
    np.cos(angle, out=phases.real)
    np.sin(angle, out=phases.imag)
    return phases


def _dose_noise(mean_electrons: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    level = mean_electrons * np.float32(_LEVELS_PER_ELECTRON)
    # Rounding at random keeps the mean exact although the table has finitely many levels.
    level += rng.random(mean_electrons.shape, np.float32)
    row = np.minimum(level, _TABLE_ELECTRONS * _LEVELS_PER_ELECTRON).astype(np.int32)
    column = rng.integers(0, _QUANTILES, mean_electrons.shape, np.int32)
    electrons = _poisson_quantiles().ravel()[row * _QUANTILES + column].astype(np.float32)
    many = mean_electrons >= _TABLE_ELECTRONS
    if many.any():
        # The square-root transform of a normal variate (Anscombe, Biometrika 35, 246, 1948) has the mean
        # and, within 1.5 %, the variance of Poisson.
        root = np.sqrt(mean_electrons[many] - np.float32(0.25))
        root += np.float32(0.5) * rng.standard_normal(root.shape, np.float32)
        electrons[many] = np.rint(root * root)
    return electrons


@lru_cache(maxsize=1)
def _poisson_quantiles() -> NDArray[np.uint8]:
    """Poisson quantiles (level, quantile): a table is five times as fast as drawing one by one."""
    means = np.arange(_TABLE_ELECTRONS * _LEVELS_PER_ELECTRON + 1)[:, None] / _LEVELS_PER_ELECTRON
    counts = np.arange(1, 40)
    ratios = np.concatenate([np.ones_like(means), means / counts], axis=1)
    cumulative = np.cumsum(np.exp(-means) * np.cumprod(ratios, axis=1), axis=1)
    quantiles = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    table = np.stack([np.searchsorted(row, quantiles) for row in cumulative]).astype(np.uint8)
    table.setflags(write=False)
    return table


def _fast_length(length: int) -> int:
    candidate = length
    while True:
        rest = candidate
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return candidate
        candidate += 1
