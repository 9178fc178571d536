"""What an import did, file by file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from eucentric_core import Axis, ErrorReport, FrozenModel, Sha256

from ._planned import LeftOut, PlannedSignal

__all__ = ["FileReport", "ImportReport", "SessionState", "SignalReport", "axis_text"]

SessionState = Literal["none", "open", "complete"]

_PREFIXES = ((1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"), (1e-12, "p"))


def axis_text(axis: Axis) -> str:
    """A scale as the field writes it: `29.66 pm`, `0.25 eV`, `1.2 mrad`.

    Example:
        >>> axis_text(Axis(name="x", unit="m", scale=2.966e-11))
        '29.66 pm'
    """
    if axis.unit in ("", "px"):
        return "not calibrated"
    if axis.unit == "1/m":
        return f"{axis.scale * 1e-9:.4g} 1/nm"
    if axis.unit == "eV":
        return f"{axis.scale:.4g} eV"
    factor, prefix = next((pair for pair in _PREFIXES if axis.scale >= pair[0]), _PREFIXES[-1])
    return f"{axis.scale / factor:.4g} {prefix}{axis.unit}"


class SignalReport(FrozenModel):
    """A signal of a file: `shape` is that of the whole, `axes` are those of one of its frames."""

    title: str
    stream: str
    kind: str
    frames: Annotated[int, Field(ge=1)]
    shape: tuple[int, ...]
    dtype: str
    axes: tuple[Axis, ...]
    high_tension_v: float | None

    @classmethod
    def of(cls, planned: PlannedSignal) -> SignalReport:
        """From what is, or would be, recorded."""
        return cls(
            title=planned.title,
            stream=planned.stream,
            kind=planned.kind,
            frames=planned.frames,
            shape=planned.shape,
            dtype=planned.dtype,
            axes=planned.axes,
            high_tension_v=planned.optics.high_tension_v,
        )

    @property
    def calibration(self) -> str:
        """Its scales in one line."""
        texts: dict[str, list[str]] = {}
        for axis in self.axes:
            texts.setdefault(axis_text(axis), []).append(axis.name)
        return ", ".join(f"{', '.join(names)}: {text}" for text, names in texts.items())


class LeftOutReport(FrozenModel):
    """A signal that was left out, and why."""

    title: str
    reason: str

    @classmethod
    def of(cls, left: LeftOut) -> LeftOutReport:
        """From the plan."""
        return cls(title=left.title, reason=left.reason)


class FileReport(FrozenModel):
    """What became of one file. `already`: it is in the session, nothing was doubled."""

    file: str
    verdict: Literal["imported", "already", "importable", "refused"]
    sha256: Sha256 | None = None
    first_sequence: Annotated[int, Field(ge=0)] | None = None
    frames: Annotated[int, Field(ge=0)] = 0
    signals: tuple[SignalReport, ...] = ()
    left_out: tuple[LeftOutReport, ...] = ()
    error: ErrorReport | None = None
    note: str | None = None


class ImportReport(FrozenModel):
    """What an import did. `session_state` is that of the session afterwards; `none` if there is no such.

    `ship_to` is where the agent of this home sends it, None if it stays here.
    """

    instrument: str
    session: str
    dry_run: bool
    session_state: SessionState
    files: tuple[FileReport, ...]
    ship_to: str | None = None

    @property
    def refused(self) -> tuple[FileReport, ...]:
        """Files that were not imported."""
        return tuple(file for file in self.files if file.verdict == "refused")
