"""The conditions of the demonstration: what the microscope drifts from, and what it drifts to.

The operator zooms out while focus and beam current drift.  Found by experiment with
``benchmarks/bench_demo_training.py``, which measures what they do to detection for any seed.
"""

from __future__ import annotations

import numpy as np

from .image_formation import ImagingConditions
from .network_spec import NetworkSpec
from .start_conditions import StartConditions
from .start_data import ConditionsSpread


class DemoConditions(StartConditions):
    """Conditions of the demonstration, which drift.

    Attributes:
        drifted: imaging conditions after the drift.
    """

    drifted: ImagingConditions

    def at(self, progress: float) -> ImagingConditions:
        """Conditions on the way: 0 is ``initial``, 1 is ``drifted``; limited to that range.

        The pixel size changes geometrically, as a magnification does; everything else linearly.
        """
        t = float(np.clip(progress, 0, 1))
        start, end = self.initial.model_dump(), self.drifted.model_dump()
        mixed = {
            name: (1 - t) * value + t * end[name] if isinstance(value, float) else value
            for name, value in start.items()
        }
        mixed["pixel_size_m"] = start["pixel_size_m"] ** (1 - t) * end["pixel_size_m"] ** t
        return ImagingConditions(**mixed)


_INITIAL = ImagingConditions(
    pixel_size_m=12e-12,
    probe_sigma_m=40e-12,
    beam_current_a=60e-12,
    dwell_time_s=2e-6,
    jitter_rms_px=0.2,
)
DEMO_CONDITIONS = DemoConditions(
    material="mos2",
    shape=(256, 256),
    initial=_INITIAL,
    drifted=ImagingConditions(
        **{
            **_INITIAL.model_dump(),
            "pixel_size_m": 18e-12,
            "defocus_m": 3.3e-9,
            "beam_current_a": 40e-12,
        }
    ),
    start_spread=ConditionsSpread(),
    start_frames=40,
    network=NetworkSpec(n_classes=3, base_filters=24, depth=1, stem_factor=4),
)
