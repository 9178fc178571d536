"""How long compute takes to be of use: first result, round trip, and submit to the first step of a training.

Runs what is installed of: local processes, Parsl, Parsl on a Slurm of two virtual nodes on this machine, and
Globus Compute with its service played and its engine real. What is missing is said and left out.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from _harness import arguments, report

from eucentric_core import GlobusSettings, HpcSettings
from eucentric_hpc import open_executor

_REPOSITORY = Path(__file__).resolve().parents[1]
_TIMEOUT_S = 300.0
Place = tuple[HpcSettings, GlobusSettings | None]


def main() -> None:
    """Measure every kind and report."""
    options = arguments(__doc__ or "").parse_args()
    # Here and in the workers: the servers and the training are those of the tests.
    sys.path.insert(0, str(_REPOSITORY))
    os.environ["PYTHONPATH"] = str(_REPOSITORY)
    round_trips = 20 if options.quick else 100
    figures: dict[str, float] = {}
    for kind, (installed, prepare) in _KINDS.items():
        if not installed():
            print(f"{kind}: not installed, left out", file=sys.stderr)
            continue
        with tempfile.TemporaryDirectory(prefix="eucentric-bench-") as folder, prepare(Path(folder)) as place:
            for name, value in measure(place, Path(folder) / "run", round_trips).items():
                figures[f"{kind.replace('-', '_')}_{name}"] = round(value, 3)
    report(figures, as_json=options.json, packages=("parsl", "torch", "globus-compute-sdk"))


def measure(place: Place, run_dir: Path, round_trips: int) -> dict[str, float]:
    """Open an executor, wait for a first result, then for many, then for a training's first step."""
    from tests.hpc.paced_training import paced_training_task

    settings, globus = place
    started = time.perf_counter()
    with open_executor(settings, run_dir, globus=globus) as executor:
        opened = time.perf_counter()
        executor.submit(abs, -1).result(timeout=_TIMEOUT_S)
        first = time.perf_counter()
        times = []
        for _ in range(round_trips):
            begun = time.perf_counter()
            executor.submit(abs, -1).result(timeout=_TIMEOUT_S)
            times.append(time.perf_counter() - begun)
        work = run_dir / "training"
        work.mkdir()
        submitted = time.perf_counter()
        training = executor.submit(paced_training_task, str(work))
        while not (work / "attempts").exists():
            if training.done():
                training.result()
            time.sleep(0.002)
        stepped = time.perf_counter()
        training.result(timeout=_TIMEOUT_S)
        closing = time.perf_counter()
    return {
        "open_s": opened - started,
        "first_result_s": first - started,
        "round_trip_ms": 1e3 * statistics.median(times),
        "submit_to_first_step_s": stepped - submitted,
        "close_s": time.perf_counter() - closing,
    }


@contextmanager
def _local(kind: str, _folder: Path) -> Iterator[Place]:
    yield HpcSettings(executor=kind, workers=1), None


@contextmanager
def _slurm(folder: Path) -> Iterator[Place]:
    from tests.hpc.compute_kinds import write_slurm_site
    from tests.servers.slurm import running_slurm

    with running_slurm() as cluster:
        os.environ.update(cluster.environment)
        site = write_slurm_site(folder / "site.toml")
        yield HpcSettings(executor="parsl-slurm", workers=1, site=str(site)), None


@contextmanager
def _compute(folder: Path) -> Iterator[Place]:
    from tests.servers.globus import GlobusEmulator
    from tests.servers.globus_compute import running_compute
    from tests.servers.globus_service import sdk_speaks_to

    with ExitStack() as started:
        emulator = started.enter_context(GlobusEmulator({}))
        started.enter_context(sdk_speaks_to(emulator.environment))
        site, globus = started.enter_context(running_compute(emulator, folder))
        yield HpcSettings(executor="globus-compute", site=str(site)), globus


def _always() -> bool:
    return True


def _has_slurm() -> bool:
    return shutil.which("slurmctld", path=f"{os.environ['PATH']}:/usr/sbin") is not None and os.geteuid() == 0


def _has_rabbitmq() -> bool:
    return Path("/usr/lib/rabbitmq/bin/rabbitmq-server").exists()


_Prepare = Callable[[Path], AbstractContextManager[Place]]
_KINDS: dict[str, tuple[Callable[[], bool], _Prepare]] = {
    "processes": (_always, lambda folder: _local("processes", folder)),
    "parsl-local": (_always, lambda folder: _local("parsl-local", folder)),
    "parsl-slurm": (_has_slurm, _slurm),
    "globus-compute": (_has_rabbitmq, _compute),
}


if __name__ == "__main__":
    main()
