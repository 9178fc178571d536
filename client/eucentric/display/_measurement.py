"""A frame that can show itself and turn into what other packages work with."""

from __future__ import annotations

import io
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from eucentric_core import Axis, Frame

from ._optional import require

if TYPE_CHECKING:
    import matplotlib.axes
    import xarray

__all__ = ["Measurement"]

_PREVIEW_INCHES = 4.0
_NM_PER_M = 1e9
_require = partial(require, safe="the frame itself is complete: `.header` and `.array`.")


class Measurement(Frame):
    """One acquired frame: `header`, read-only `array` (shape and dtype as the header says), and views."""

    __slots__ = ()

    def plot(self, axes: matplotlib.axes.Axes | None = None, **how: Any) -> matplotlib.axes.Axes:
        """Draw the frame: an image with its scale in nm, a spectrum over its energy axis.

        Args:
            axes: where to draw; by default in a figure of its own.
            how: passed on to matplotlib's `imshow` or `plot`.

        Raises:
            UnsupportedError: matplotlib is not installed.
        """
        pyplot = _require("matplotlib.pyplot", "notebook")
        target = axes if axes is not None else pyplot.subplots(figsize=(5, 5))[1]
        if self.array.ndim == 1:
            target.plot(self._coordinates(0), self.array, **how)
            target.set_xlabel(self._label(0))
            target.set_ylabel("counts")
        else:
            self._draw_image(target, how)
        target.set_title(self.title)
        return target

    @property
    def title(self) -> str:
        """Instrument, session, stream and number; says SIMULATED where it is."""
        head = self.header
        name = f"{head.instrument} {head.session} {head.stream} #{head.sequence}"
        return f"SIMULATED {name}" if head.simulated else name

    def to_xarray(self) -> xarray.DataArray:
        """The frame as a labelled array: calibrated coordinates with units, the header in `attrs`.

        Raises:
            UnsupportedError: xarray is not installed.
        """
        package = _require("xarray", "notebook")
        axes = self._axes()
        coordinates = {
            axis.name: (axis.name, self._coordinates(number), {"units": axis.unit})
            for number, axis in enumerate(axes)
        }
        return package.DataArray(
            self.array,
            dims=[axis.name for axis in axes],
            coords=coordinates,
            name=self.header.stream,
            attrs=self.header.model_dump(mode="json"),
        )

    def to_hyperspy(self) -> Any:
        """The frame as a HyperSpy signal (GPL, in the extra `hyperspy`), calibrated, with its header.

        Raises:
            UnsupportedError: HyperSpy is not installed.
        """
        signals = _require("hyperspy.api", "hyperspy").signals
        kind = signals.Signal1D if self.array.ndim == 1 else signals.Signal2D
        signal = kind(np.array(self.array))
        for axis, ours in zip(reversed(signal.axes_manager.signal_axes), self._axes(), strict=True):
            axis.name, axis.units, axis.scale, axis.offset = ours.name, ours.unit, ours.scale, ours.offset
        signal.metadata.General.title = self.title
        signal.original_metadata.add_dictionary({"eucentric": self.header.model_dump(mode="json")})
        return signal

    def to_png(self) -> bytes:
        """The frame as a PNG, as `plot` draws it.

        Raises:
            UnsupportedError: matplotlib is not installed.
        """
        _require("matplotlib", "notebook")
        from matplotlib.figure import Figure

        figure = Figure(figsize=(_PREVIEW_INCHES, _PREVIEW_INCHES))
        self.plot(figure.add_subplot())
        target = io.BytesIO()
        figure.savefig(target, format="png", dpi=100)
        return target.getvalue()

    def _draw_image(self, target: matplotlib.axes.Axes, how: dict[str, Any]) -> None:
        y, x = self._axes()
        if x.unit == "m":
            ny, nx = self.array.shape
            left, top = x.offset * _NM_PER_M, y.offset * _NM_PER_M
            how.setdefault(
                "extent", (left, left + nx * x.scale * _NM_PER_M, top + ny * y.scale * _NM_PER_M, top)
            )
            target.set_xlabel("x (nm)")
            target.set_ylabel("y (nm)")
        else:
            target.set_xlabel(self._label(1))
            target.set_ylabel(self._label(0))
        how.setdefault("cmap", "gray")
        target.imshow(self.array, **how)

    def _axes(self) -> tuple[Axis, ...]:
        if self.header.axes:
            return self.header.axes
        return tuple(Axis(name=f"axis_{number}", unit="px", scale=1.0) for number in range(self.array.ndim))

    def _coordinates(self, number: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        axis = self._axes()[number]
        return axis.offset + axis.scale * np.arange(self.array.shape[number], dtype=np.float64)

    def _label(self, number: int) -> str:
        axis = self._axes()[number]
        return f"{axis.name} ({axis.unit})" if axis.unit else axis.name
