"""Time of each stage of the loop, from a drifting microscope to the retrained model in service.

Runs `eucentric demo --json`, which is the product on one machine with real Prefect, MLflow and Parsl.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from _harness import arguments, report

TIMEOUT_S = 600


def main() -> None:
    """Run the demo once and report its times."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "eucentric", "demo", "--json", "--seed", str(options.seed)),
                *("--picture", str(Path(folder) / "loop.png")),
            ],
            stdout=subprocess.PIPE,
            timeout=TIMEOUT_S,
            check=True,
            text=True,
        )
    outcome = json.loads(done.stdout.splitlines()[-1])
    figures = {
        "loop_total_s": outcome["total_s"],
        "loop_drift_to_new_model_s": outcome["drift_to_new_model_s"],
        "loop_stages_s": outcome["stages"],
        "edge_latency_p50_ms": outcome["latency_p50_ms"],
        "edge_latency_p99_ms": outcome["latency_p99_ms"],
        "frames_lost": outcome["frames_lost"],
        "swap_dropped_frames": outcome["swap_dropped_frames"],
        "seed": outcome["seed"],
    }
    report(figures, as_json=options.json, packages=("prefect", "mlflow", "parsl", "torch"))


if __name__ == "__main__":
    main()
