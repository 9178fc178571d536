"""Opens each vendor's driver for a test: over temscript's own server, or over a stand-in of a package."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from temscript import NullMicroscope
from temscript.server import MicroscopeHandler, MicroscopeServer

from ..rig import Opened, OpenInstrument

STAND_INS = Path(__file__).with_name("stand_ins")
"""Put this on the path of a process that shall find the stand-ins of the vendors' packages."""

FRAME_PX = 64
"""Side of a square frame that each of these instruments scans; they scan no other shapes."""

AT_ONCE = {"settle_time_s": 0.0, "timeout_s": 5.0}

TEMSCRIPT_STEM = {"calibrations": {"field_width_at_magnification_1_m": 0.1, "stem_full_frame_px": 256}}

PYJEM = {
    "scan_detector": "ADF1",
    "scan_stream": "haadf",
    "stage_limits": {
        "x_m": [-1e-3, 1e-3],
        "y_m": [-1e-3, 1e-3],
        "z_m": [-1e-4, 1e-4],
        "alpha_rad": [-0.5, 0.5],
        "beta_rad": [-0.3, 0.3],
    },
    "calibrations": {
        "fields_of_view": [
            {"selector": 10, "magnification": 200_000, "field_of_view_m": 5e-7},
            {"selector": 20, "magnification": 1_000_000, "field_of_view_m": 1e-7},
        ],
        "frame_sizes_px": [FRAME_PX, 512],
        "defocus": {"zero_counts": 32768, "m_per_count": 1e-9},
        "beam_shift": {"zero_counts": [32768, 32768], "m_per_count": [[1e-10, 2e-11], [-2e-11, 1e-10]]},
        "stigmator": {"zero_counts": [32000, 33000], "m_per_count": [[1e-10, 0], [0, 1e-10]]},
    },
}

AUTOSCRIPT = {"frame_sizes_px": [FRAME_PX, 512], "camera_frames_px": {"BM-Ceta": 128}}


class StemMicroscope(NullMicroscope):  # type: ignore[misc]
    """temscript's null microscope with what it lacks: a STEM detector, and calls that can be held up."""

    def __init__(self, family: str = "NULL") -> None:
        super().__init__()
        self._family = family
        self._stem: dict[str, Any] = {"image_size": "FULL", "binning": 1, "dwell_time(s)": 1e-6}
        self.reach_m = 1e-3
        self.longest_dwell_s = 1.0
        self.vacuum_status = "READY"
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.acquiring = threading.Event()

    def get_family(self) -> str:
        """Product family."""
        return self._family

    def get_vacuum(self) -> dict[str, Any]:
        """State of the vacuum system."""
        return {**super().get_vacuum(), "status": self.vacuum_status}

    def is_stem_available(self) -> bool:
        """Whether there is a scan unit."""
        return True

    def get_instrument_mode(self) -> str:
        """TEM or STEM."""
        return "STEM"

    def get_stem_detectors(self) -> dict[str, Any]:
        """The STEM detectors."""
        return {"HAADF": {"type": "STEM_DETECTOR", "binnings": [1, 2, 4, 8]}}

    def get_stem_acquisition_param(self) -> dict[str, Any]:
        """How the next frame is scanned."""
        return dict(self._stem)

    def set_stem_acquisition_param(self, param: dict[str, Any], ignore_errors: bool = False) -> None:
        """Choose how the next frame is scanned; a dwell time that is too long is clipped without a word."""
        self._stem |= param
        self._stem["dwell_time(s)"] = min(self.longest_dwell_s, float(param["dwell_time(s)"]))

    def _set_stage_position(self, pos: dict[str, float], method: str = "GO", speed: Any = None) -> None:
        near = {
            axis: value if axis in "ab" else max(-self.reach_m, min(self.reach_m, value))
            for axis, value in pos.items()
        }
        super()._set_stage_position(near, method=method, speed=speed)

    def acquire(self, *detectors: str) -> dict[str, Any]:
        """Acquire from the named detectors."""
        self.acquiring.set()
        self.may_answer.wait(30)
        if detectors != ("HAADF",):
            return dict(super().acquire(*detectors))
        side = 256 // int(self._stem["binning"])
        return {"HAADF": np.arange(side * side, dtype=np.uint16).reshape(side, side)}


class _QuietHandler(MicroscopeHandler):  # type: ignore[misc]
    def log_message(self, *_arguments: Any) -> None:
        """The tests' output is no place for requests."""


@contextmanager
def temscript_server(microscope: NullMicroscope, port: int = 0) -> Iterator[str]:
    """temscript's own HTTP server around a microscope; gives its address."""
    server = MicroscopeServer(("127.0.0.1", port), lambda: microscope)
    server.RequestHandlerClass = _QuietHandler
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def vendor(module: str) -> Any:
    """A module of the stand-ins, found as a driver finds the vendor's own."""
    if str(STAND_INS) not in sys.path:
        sys.path.append(str(STAND_INS))
    return importlib.import_module(module)


def fresh(*modules: str) -> list[Any]:
    """Modules of the stand-ins, their microscope as it wakes up and nothing recorded."""
    vendor("vendor_journal").CALLS.clear()
    loaded = [vendor(module) for module in modules]
    for module in loaded:
        module.STATE = module.State()
    return loaded


def open_temscript(open_instrument: OpenInstrument, _tmp_path: Path, **options: Any) -> Opened:
    """temscript's null microscope behind temscript's server in a process of its own; it has no scan."""
    return open_instrument("temscript", {"simulated": True, "arrival": AT_ONCE, **options})


def open_temscript_stem(open_instrument: OpenInstrument, address: str, **options: Any) -> Opened:
    """A `temscript_server` around a `StemMicroscope`."""
    return open_instrument("temscript", {"address": address, "arrival": AT_ONCE, **TEMSCRIPT_STEM, **options})


def open_pyjem(open_instrument: OpenInstrument, _tmp_path: Path, **options: Any) -> Opened:
    """The JEOL driver over the stand-in of PyJEM, fully calibrated."""
    fresh("PyJEM.TEM3", "PyJEM.detector")
    return open_instrument("pyjem", {"arrival": AT_ONCE, **PYJEM, **options})


def open_autoscript(open_instrument: OpenInstrument, _tmp_path: Path, **options: Any) -> Opened:
    """The AutoScript driver over the stand-in of its client."""
    fresh("autoscript_tem_microscope_client")
    return open_instrument("autoscript", {"arrival": AT_ONCE, **AUTOSCRIPT, **options})


def open_watchfolder(open_instrument: OpenInstrument, tmp_path: Path, **options: Any) -> Opened:
    """A watched folder in which 24 finished images of 64 x 48 pixels already lie."""
    folder = tmp_path / "microscope"
    folder.mkdir(exist_ok=True)
    for number in range(24):
        image = np.random.default_rng(number).integers(0, 999, (64, 48), dtype=np.uint16)
        np.save(folder / f"image-{number:02}.npy", image)
    return open_instrument("watchfolder", watchfolder_options(tmp_path, **options))


def watchfolder_options(tmp_path: Path, **options: Any) -> dict[str, Any]:
    """Options that watch `microscope` and do not wait long."""
    return {
        "path": str(tmp_path / "microscope"),
        "ledger": str(tmp_path / "home" / "taken.sqlite"),
        "pixel_size_m": 2e-11,
        "settle_s": 0.0,
        "poll_s": 0.005,
        **options,
    }
