"""How long the loop takes from an event to the first answer of the new model, and what is not training.

A tiny model is retrained again and again by a policy, on one machine, with real Prefect, MLflow, signing,
edge and workers; the frames are SIMULATED. Times are those of the run record and of the edge's own event.
`overhead` is everything but the training itself: waiting for workers counts as overhead. An event is sent
once the site is at rest: Prefect is done with the run before.
With 8 instruments, 8 models are retrained at once and promoted; one edge serves one model, so there the loop
ends with the promotion. Beside it: a Prefect automation and a flow under `flow.serve` at default polling.

    python benchmarks/loop.py --json                          # all at once: a quarter of an hour
    python benchmarks/loop.py --json --work DIR --minutes 4   # a part; the same again until all is measured

With `--work` the site and what was measured stay in a folder, and the last part reports about all of them.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any
from uuid import uuid4

import _harness as harness
import httpx

from eucentric_core import TrustedKeys
from eucentric_flows import RunRecord, RunView, runs_path
from eucentric_model_registry import Registry, move_champion

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.loop_site import LoopSite, loop_site

_INSTRUMENTS = 8
_POLLING_S = 10.0
"""How often `flow.serve` asks for flow runs by default."""
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


def _ended(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(f"ended by {signal.Signals(number).name}; with --work the same command goes on")


def main() -> None:
    """Measure and report."""
    parser = harness.arguments(__doc__ or "")
    parser.add_argument("--loops", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3, help="of 8 instruments at once")
    parser.add_argument("--polling", type=int, default=5, help="events to the polling baseline")
    parser.add_argument("--work", type=Path, help="folder of a measurement in parts; goes on with it")
    parser.add_argument("--minutes", type=float, default=60.0, help="begin nothing new after that")
    given = parser.parse_args()
    # Otherwise it would go without a word, and leave the services of its site running.
    signal.signal(signal.SIGTERM, _ended)
    until_s = time.monotonic() + 60 * given.minutes
    wanted = Wanted(3, 1, 2) if given.quick else Wanted(given.loops, given.rounds, given.polling)
    models = ("atoms", *(f"atoms-{number}" for number in range(1, _INSTRUMENTS + 1)))
    with ExitStack() as opened:
        folder = given.work or Path(opened.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        samples = Samples(folder / "samples.jsonl")
        if not wanted.met_by(samples):
            with loop_site(folder, models=models) as site:
                measure(site, samples, wanted, until_s=until_s)
        if not wanted.met_by(samples):
            _say("not all is measured: the same command goes on")
            raise SystemExit(3)
        harness.report(figures_of(samples), as_json=given.json, packages=("prefect", "mlflow", "torch"))


@dataclass(frozen=True)
class Wanted:
    """How many loops of one instrument, rounds of eight, and events to the polling baseline."""

    loops: int
    rounds: int
    polling: int

    def met_by(self, samples: Samples) -> bool:
        """Whether so much was measured."""
        return all(len(samples.of(part)) >= number for part, number in asdict(self).items())


class Samples:
    """What was measured, one line of JSON each: of the part `loops`, `rounds` or `polling`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self._all = [json.loads(line) for line in lines]

    def add(self, part: str, figures: Any) -> None:
        """Keep one."""
        self._all.append({"part": part, "figures": figures})
        with self._path.open("a") as out:
            out.write(json.dumps(self._all[-1]) + "\n")

    def of(self, part: str) -> list[Any]:
        """All of a part."""
        return [one["figures"] for one in self._all if one["part"] == part]


def measure(site: LoopSite, samples: Samples, wanted: Wanted, *, until_s: float) -> None:
    """Measure what is missing, as far as the time allows."""
    # A part that was broken off leaves a run that goes on now.
    with RunRecord(runs_path(site.settings)) as record:
        _wait(lambda: not record.unended())
    while len(samples.of("loops")) < wanted.loops and time.monotonic() < until_s:
        run = one_loop(site, len(samples.of("loops")))
        samples.add("loops", {"times": times_of(run), "stages": dict(run.stage_s)})
    while len(samples.of("rounds")) < wanted.rounds and time.monotonic() < until_s:
        samples.add("rounds", eight(site))
    missing = wanted.polling - len(samples.of("polling"))
    if missing > 0 and time.monotonic() < until_s:
        for took_s in polling(site, missing):
            samples.add("polling", took_s)


def one_loop(site: LoopSite, number: int) -> RunView:
    """One event, and the run once the edge has answered with what it led to."""
    run = site.wait(site.begin(), _answered)
    _require_promoted(run)
    # The next event meets a site at rest: the process of this run and Prefect are done with it.
    site.wait_prefect(run.flow_run_id or "", "COMPLETED")
    _go_back(site, "atoms")
    _say(f"loop {number + 1}: {' '.join(f'{k} {v:.2f}' for k, v in times_of(run).items())}")
    return run


def _go_back(site: LoopSite, *models: str) -> None:
    """Make the first version champion again, so that the next loop has something to be better than."""
    trusted = TrustedKeys.read(site.settings.trusted_keys_path)
    registry = Registry(site.settings.hub.mlflow_url, trusted)
    for model in models:
        move_champion(site.settings, registry, model, 1, reason="next loop", who="benchmark")


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


def figures_of(samples: Samples) -> dict[str, Any]:
    """p50 and p99 of every station, and of the overhead (s)."""
    loops = samples.of("loops")
    figures: dict[str, Any] = {"loops": len(loops), "simulated": True}
    for name in loops[0]["times"]:
        figures.update(_quantiles(name, [one["times"][name] for one in loops]))
    stages = loops[0]["stages"]
    figures["stage_p50_s"] = {
        name: round(harness.quantile([one["stages"][name] for one in loops], 0.5), 3) for name in stages
    }
    at_once = [times for turn in samples.of("rounds") for times in turn]
    if at_once:
        figures["loops_8_instruments"] = len(at_once)
        for name in ("overhead", "event_to_flow_start", "event_to_promoted"):
            figures.update(_quantiles(f"{name}_8_instruments", [one[name] for one in at_once]))
    if took := samples.of("polling"):
        figures["polling_baseline_p50_s"] = round(harness.quantile(took, 0.5), 3)
        figures["polling_baseline_s"] = [round(one, 2) for one in took]
    return figures


def _quantiles(name: str, samples: list[float]) -> dict[str, float]:
    return {
        f"{name}_p{share:.0f}_s": round(harness.quantile(samples, share / 100), 3) for share in (50.0, 99.0)
    }


def eight(site: LoopSite) -> list[dict[str, float]]:
    """Eight models of eight instruments at once; the times of each."""
    models = [f"atoms-{number}" for number in range(1, _INSTRUMENTS + 1)]
    triggers = [site.begin(model) for model in models]
    runs = [site.wait(trigger, lambda view: view.over) for trigger in triggers]
    for run in runs:
        _require_promoted(run)
    _go_back(site, *models)
    times = [times_of(run) for run in runs]
    _say("eight at once: overhead " + " ".join(f"{one['overhead']:.1f}" for one in times) + " s")
    return times


def polling(site: LoopSite, events: int) -> list[float]:
    """Prefect alone: event to the body of a flow under `flow.serve` at default polling (s)."""
    folder = site.folder
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
            _awaken(url, out)
            took: list[float] = []
            for number in range(events):
                # Somewhere within the period of polling, not always at the same place.
                time.sleep(1.0 + 2.3 * number % _POLLING_S)
                before = len(out.read_text().splitlines())
                sent_s = _send_polled(url)
                _wait(lambda before=before: len(out.read_text().splitlines()) > before)
                took.append(float(out.read_text().splitlines()[-1]) - sent_s)
                _say(f"polling baseline: {took[-1]:.2f} s")
        finally:
            serving.terminate()
            serving.wait()
    return took


def _awaken(url: str, out: Path) -> None:
    """Send events that nobody measures until one is followed: Prefect knows automations some time later."""
    deadline = time.monotonic() + 120.0
    next_s = 0.0
    while not out.read_text():
        if time.monotonic() > deadline:
            raise RuntimeError("Prefect follows no event")
        if time.monotonic() > next_s:
            _send_polled(url)
            next_s = time.monotonic() + 1.5 * _POLLING_S
        time.sleep(0.05)
    # One of those before may come late.
    time.sleep(1.5 * _POLLING_S)


def _send_polled(url: str) -> float:
    """Send an event to the baseline; when (s since the epoch)."""
    sent_s = time.time()
    event = {
        "event": "benchmark.polled",
        "occurred": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(sent_s)),
        "resource": {"prefect.resource.id": "benchmark"},
        "id": str(uuid4()),
        "payload": {},
    }
    httpx.post(f"{url}/events", json=[event]).raise_for_status()
    return sent_s


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
