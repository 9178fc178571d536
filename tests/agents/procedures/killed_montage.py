"""A montage in a process of its own, for a test that kills it: `python killed_montage.py CHECKPOINT`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from eucentric_agents.procedures import DirectMicroscope, Exposure, Montage, MontagePlan, Progress, run
from eucentric_core import AgentSettings

PLAN = MontagePlan(
    rows=3, columns=3, exposure=Exposure(height_px=128, width_px=128, field_of_view_m=5e-7), overlap=0.3
)
SETTINGS = AgentSettings(
    name="scope",
    driver={
        "material": "gold_on_carbon",
        "seed": 3,
        "specimen": {"extent_m": 4e-6, "drift_m_per_s": [0.0, 0.0]},
        "stage": {"speed_m_per_s": 1e-3, "settle_time_s": 0.0, "backlash_m": 2e-8, "repeatability_m": 1e-9},
    },
)
STANDS_STILL_AFTER = 5


def main() -> None:
    """Take tiles, say so, and after some stand still until killed."""

    def progress(event: Progress) -> None:
        sys.stdout.write(f"{event.step}\n")
        sys.stdout.flush()
        if event.step == STANDS_STILL_AFTER:
            time.sleep(600)

    with DirectMicroscope.open(SETTINGS) as scope:
        run(Montage(PLAN), scope, checkpoint=Path(sys.argv[1]), progress=progress)


if __name__ == "__main__":
    main()
