"""How long the loop takes from an event to the first answer of the new model, and what is not training.

A tiny model is retrained again and again by a policy, on one machine, with real Prefect, MLflow, signing,
edge and workers; the frames are SIMULATED. Times are those of the run record and of the edge's own event.
`overhead` is everything but the training itself: waiting for workers counts as overhead.
With 8 instruments, 8 models are retrained at once and promoted; one edge serves one model, so there the loop
ends with the promotion. Beside it: a Prefect automation and a flow under `flow.serve` at default polling.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import harness
import httpx

from eucentric_core import TrustedKeys
from eucentric_flows import RunView
from eucentric_model_registry import Registry, move_champion

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.loop_site import LoopSite, loop_site

_INSTRUMENTS = 8
_SERVED = """
import sys, time
from pathlib import Path
from prefect import flow

@flow(name="polled")
def polled(sent: str = "") -> None:
    with open(sys.argv[1], "a") as out:
        out.write(f"{time.time()}\\n")

if __name__ == "__main__":
    from prefect.events import DeploymentEventTrigger
    polled.serve(name="baseline", triggers=[DeploymentEventTrigger(expect={"benchmark.polled"})])
"""


def main() -> None:
    """Measure and report."""
    parser = harness.arguments(__doc__ or "")
    parser.add_argument("--loops", type=int, default=20)
    parser.add_argument("--polling", type=int, default=5, help="events to the polling baseline")
    parser.add_argument("--without-eight", action="store_true")
    given = parser.parse_args()
    loops = 3 if given.quick else given.loops
    models = ("atoms", *(f"atoms-{number}" for number in range(1, _INSTRUMENTS + 1)))
    with tempfile.TemporaryDirectory() as folder, loop_site(Path(folder), models=models) as site:
        runs = [one_loop(site, number) for number in range(loops)]
        figures = figures_of(runs)
        if not given.without_eight:
            figures.update(eight(site))
        if given.polling:
            figures.update(polling(site, Path(folder), 2 if given.quick else given.polling))
    harness.report(figures, as_json=given.json, packages=("prefect", "mlflow", "torch"))


def one_loop(site: LoopSite, number: int) -> RunView:
    """One event, and the run once the edge has answered with what it led to."""
    run = site.wait(site.begin(), _answered)
    _require_promoted(run)
    _go_back(site)
    _say(f"loop {number + 1}: {' '.join(f'{k} {v:.2f}' for k, v in times_of(run).items())}")
    return run


def _go_back(site: LoopSite) -> None:
    """Make the first version champion again, so that the next loop has something to be better than."""
    trusted = TrustedKeys.read(site.settings.trusted_keys_path)
    registry = Registry(site.settings.hub.mlflow_url, trusted)
    move_champion(site.settings, registry, "atoms", 1, reason="next loop", who="benchmark")


def times_of(run: RunView) -> dict[str, float]:
    """Seconds from the event to each station, and of what is not training."""
    begin = run.requested_utc
    stages = {stage.name: stage for stage in run.stages}
    waited = sum(wait.duration_s(wait.began_utc) for wait in run.waits if wait.stage == "train")
    training_s = run.stage_s["train"] - waited
    stations = {
        "event_to_flow_start": run.started_utc,
        "event_to_training_start": stages["train"].started_utc,
        "event_to_registered": stages["register"].ended_utc,
        "event_to_promoted": stages["promote"].ended_utc,
        "event_to_installed": stages["install"].ended_utc if "install" in stages else None,
        "event_to_first_answer": run.first_answer_utc,
    }
    times = {name: (at - begin).total_seconds() for name, at in stations.items() if at is not None}
    times["event_to_training_start"] += waited
    end = times.get("event_to_first_answer", times["event_to_promoted"])
    return {**times, "training": training_s, "overhead": end - training_s, "waiting_for_workers": waited}


def figures_of(runs: list[RunView]) -> dict[str, Any]:
    """p50 and p99 of every station (s)."""
    times = [times_of(run) for run in runs]
    figures: dict[str, Any] = {"loops": len(runs), "simulated": True}
    for name in times[0]:
        samples = [one[name] for one in times]
        figures[f"{name}_p50_s"] = round(harness.quantile(samples, 0.5), 3)
        figures[f"{name}_p99_s"] = round(harness.quantile(samples, 0.99), 3)
    stages = {name: [run.stage_s[name] for run in runs] for name in runs[0].stage_s}
    figures["stage_p50_s"] = {name: round(harness.quantile(took, 0.5), 3) for name, took in stages.items()}
    return figures


def eight(site: LoopSite) -> dict[str, Any]:
    """Eight models of eight instruments at once."""
    triggers = [site.begin(f"atoms-{number}") for number in range(1, _INSTRUMENTS + 1)]
    runs = [site.wait(trigger, lambda view: view.over) for trigger in triggers]
    for run in runs:
        _require_promoted(run)
    times = [times_of(run) for run in runs]
    return {
        "overhead_8_instruments_p50_s": round(harness.quantile([one["overhead"] for one in times], 0.5), 3),
        "overhead_8_instruments_p99_s": round(harness.quantile([one["overhead"] for one in times], 0.99), 3),
        "event_to_flow_start_8_instruments_p50_s": round(
            harness.quantile([one["event_to_flow_start"] for one in times], 0.5), 3
        ),
    }


def polling(site: LoopSite, folder: Path, events: int) -> dict[str, Any]:
    """Prefect alone: event to the body of a flow under `flow.serve`, default polling."""
    script, out = folder / "polled.py", folder / "polled.txt"
    script.write_text(_SERVED)
    out.touch()
    url = site.settings.hub.prefect_api_url
    environment = {
        **os.environ,
        "PREFECT_API_URL": url,
        "PREFECT_HOME": str(folder / "polled-home"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }
    with (folder / "polled.log").open("wb") as log:
        serving = subprocess.Popen(
            [sys.executable, str(script), str(out)], env=environment, stdout=log, stderr=log
        )
        try:
            _wait(lambda: httpx.get(f"{url}/deployments/name/polled/baseline").status_code == 200)
            took = []
            for number in range(events):
                # Somewhere within the period of polling, not always at the same place.
                time.sleep(1.0 + 2.3 * number)
                before = len(out.read_text().splitlines())
                sent_s = time.time()
                event = {
                    "event": "benchmark.polled",
                    "occurred": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(sent_s)),
                    "resource": {"prefect.resource.id": "benchmark"},
                    "id": f"00000000-0000-4000-8000-{number:012d}",
                    "payload": {},
                }
                httpx.post(f"{url}/events", json=[event]).raise_for_status()
                _wait(lambda before=before: len(out.read_text().splitlines()) > before)
                took.append(float(out.read_text().splitlines()[-1]) - sent_s)
                _say(f"polling baseline: {took[-1]:.2f} s")
        finally:
            serving.terminate()
            serving.wait()
    return {"polling_baseline_p50_s": round(harness.quantile(took, 0.5), 3), "polling_baseline_s": took}


def _answered(run: RunView) -> bool:
    return run.over and (run.first_answer_utc is not None or run.state != "promoted")


def _require_promoted(run: RunView) -> None:
    if run.state != "promoted":
        raise RuntimeError(f"run {run.trigger_id} ended {run.state}: {run.reason}")


def _wait(done: Any, timeout_s: float = 120.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not done():
        if time.monotonic() > deadline:
            raise RuntimeError("waited in vain")
        time.sleep(0.05)


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
