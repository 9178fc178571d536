"""Control round trips with mutual TLS, idle and during a scan; how fast stop and the safe state are.

A round trip is `stage.get`: client -> TLS -> agent (certificate, role) -> driver process and back. Beside
it, in the same run, a method call through stock Pyro5 without any of that.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from _harness import arguments, quantile, report

from eucentric.certs import Authority
from eucentric_core import EucentricError, ManagedProcess, Role, SteeringClient, TlsSettings, connect
from eucentric_core.transport import PyroControlClient, find_free_port
from eucentric_core.vocabulary import ScanAcquire, ScanStream

LONG_SCAN = ScanAcquire(height_px=512, width_px=512, dwell_time_s=10 / 512**2)
"""Takes 10 s."""

SETTINGS = """
home = {home}
[agent]
name = "bench"
control_port = {control}
data_port = {data}
min_free_bytes = 0
[agent.tls]
authority = {authority}
certificate = {certificate}
key = {key}
[agent.driver]
seed = 1
real_time = true
journal = {journal}
"""

PLAIN_SERVER = """
import Pyro5.api
class Plain:
    @Pyro5.api.expose
    def ping(self, value):
        return {"x_m": 1e-9, "y_m": 2e-9, "value": value}
daemon = Pyro5.api.Daemon(host="127.0.0.1")
print(daemon.register(Plain()), flush=True)
daemon.requestLoop()
"""

PLAIN_CLIENT = """
import json, sys, time
import Pyro5.api
samples = []
with Pyro5.api.Proxy(sys.argv[1]) as proxy:
    for number in range(int(sys.argv[2])):
        began = time.perf_counter()
        proxy.ping(number)
        samples.append(time.perf_counter() - began)
print(json.dumps(samples))
"""

PEER_DEVICES = """
from microscope import AxisLimits
from microscope.device_server import device
from microscope.simulators import SimulatedStage
DEVICES = [
    device(SimulatedStage, host="127.0.0.1", port={port}, conf={{"limits": {{"x": AxisLimits(0, 1000)}}}})
]
"""

PEER_CLIENT = """
import json, sys, time
import Pyro4
Pyro4.config.SERIALIZER = "pickle"
stage = Pyro4.Proxy("PYRO:SimulatedStage@127.0.0.1:" + sys.argv[1])
deadline = time.monotonic() + 20
while True:
    try:
        stage.position
        break
    except Pyro4.errors.CommunicationError:
        if time.monotonic() > deadline:
            raise
        time.sleep(0.1)
samples = []
for _ in range(int(sys.argv[2])):
    began = time.perf_counter()
    stage.position
    samples.append(time.perf_counter() - began)
print(json.dumps(samples))
"""

HOLDER = """
import sys, time
from eucentric_core import TlsSettings, connect
tls = TlsSettings.model_validate_json(sys.argv[2])
scope = connect("127.0.0.1", int(sys.argv[1]), client="holder", credentials=tls)
with scope.control(reason="benchmark"):
    scope.unblank(max_duration_s=600)
    print("beam on", flush=True)
    time.sleep(600)
"""


@dataclass(frozen=True)
class Bench:
    """A running agent, who may talk to it, and the log of its simulated hardware."""

    port: int
    credentials: TlsSettings
    journal: Path

    def connect(self, client: str) -> SteeringClient:
        """A client with a certificate."""
        return connect("127.0.0.1", self.port, client=client, credentials=self.credentials)

    def blanked_after_s(self, moment_s: float) -> float:
        """Wait until the hardware is told to blank; return how long after `moment_s` (monotonic) that was."""
        deadline_s = time.monotonic() + 15
        while time.monotonic() < deadline_s:
            for line in self.journal.read_text(encoding="utf-8").splitlines():
                entry = json.loads(line)
                if entry["what"] == "beam.blank" and entry["monotonic_s"] >= moment_s:
                    return float(entry["monotonic_s"]) - moment_s
            time.sleep(0.01)
        raise SystemExit("the beam was not blanked within 15 s")


@contextmanager
def bench() -> Iterator[Bench]:
    """An agent with mutual TLS over a SIMULATED microscope, in processes of their own."""
    with tempfile.TemporaryDirectory(prefix="bench-control-") as name:
        folder = Path(name)
        authority = Authority.create(folder / "authority", name="bench", days=1)
        server = _files(authority.issue("agent", hosts=["127.0.0.1"], days=1).folder)
        person = _files(authority.issue("scientist", role=Role.SCIENTIST, days=1).folder)
        port = find_free_port()
        journal = folder / "hardware.jsonl"
        places = {"home": folder / "home", "journal": journal, **server.model_dump(exclude={"revoked"})}
        config = folder / "settings.toml"
        config.write_text(
            SETTINGS.format(
                control=port,
                data=find_free_port(),
                **{key: json.dumps(str(path)) for key, path in places.items()},
            ),
            encoding="utf-8",
        )
        agent = ManagedProcess(
            "agent",
            [sys.executable, "-m", "eucentric_agents", "run", "--config", str(config)],
            log=folder / "agent.log",
        )
        try:
            agent.wait_ready((folder / "home" / "run" / "agent.json").exists, timeout_s=60)
            yield Bench(port, person, journal)
        finally:
            agent.stop()


def _files(folder: Path) -> TlsSettings:
    return TlsSettings(
        authority=folder / "authority.pem", certificate=folder / "certificate.pem", key=folder / "key.pem"
    )


def round_trips_ms(call: Callable[[], object], count: int) -> list[float]:
    """Time `count` calls after a warm-up."""
    for _ in range(50):
        call()
    samples = []
    for _ in range(count):
        began = time.perf_counter()
        call()
        samples.append((time.perf_counter() - began) * 1e3)
    return samples


def plain_pyro_ms(count: int) -> list[float]:
    """Round trips through stock Pyro5: its own serializer, no TLS, no roles, nothing behind it."""
    server = subprocess.Popen([sys.executable, "-c", PLAIN_SERVER], stdout=subprocess.PIPE, text=True)
    if server.stdout is None:
        raise SystemExit("the plain Pyro5 server has no output")
    with server.stdout:
        try:
            uri = server.stdout.readline().strip()
            command = [sys.executable, "-c", PLAIN_CLIENT, uri, str(count + 50)]
            outcome = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        finally:
            server.kill()
            server.wait()
    return [sample * 1e3 for sample in json.loads(outcome.stdout)[50:]]


def python_microscope_ms(python: Path, count: int) -> list[float]:
    """Reading python-microscope's simulated stage through its own device server (Pyro4, no keys, no roles).

    Args:
        python: an interpreter that has the package `microscope`.
        count: how many reads.
    """
    port = find_free_port()
    with tempfile.TemporaryDirectory(prefix="bench-peer-") as folder:
        devices = Path(folder) / "devices.py"
        devices.write_text(PEER_DEVICES.format(port=port), encoding="utf-8")
        server = ManagedProcess(
            "python-microscope",
            [str(python.parent / "device-server"), "--logging-dir", folder, str(devices)],
            log=Path(folder) / "server.log",
        )
        try:
            command = [str(python), "-c", PEER_CLIENT, str(port), str(count + 50)]
            outcome = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        finally:
            server.stop()
    return [sample * 1e3 for sample in json.loads(outcome.stdout)[50:]]


def stop_during_scan_ms(agent: Bench) -> tuple[float, float]:
    """Stop a 10 s scan from another client: time until the answer, and until the hardware was told."""
    with agent.connect("holder") as scope, agent.connect("anybody") as other:
        other.lease()
        with scope.control(reason="benchmark"):
            scope.start_session(f"stop-{time.monotonic_ns()}")
            scope.unblank(max_duration_s=600)
            scanning = threading.Thread(target=_scan_until_stopped, args=(scope,))
            scanning.start()
            time.sleep(1.0)
            asked_s, began = time.monotonic(), time.perf_counter()
            other.safe_stop()
            answered_ms = (time.perf_counter() - began) * 1e3
            blanked_ms = agent.blanked_after_s(asked_s) * 1e3
            scanning.join()
            scope.stop_session()
    return answered_ms, blanked_ms


def _scan_until_stopped(scope: SteeringClient) -> None:
    try:
        scope.execute(LONG_SCAN)
    except EucentricError as error:
        print(f"the scan ended: {error.code}", file=sys.stderr)


def blanked_after_loss_s(agent: Bench, number: signal.Signals, attempt: int) -> float:
    """How long after its holder got a signal the hardware is told to blank."""
    command = [sys.executable, "-c", HOLDER, str(agent.port), agent.credentials.model_dump_json()]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    if holder.stdout is None:
        raise SystemExit("the holder has no output")
    with holder.stdout:
        try:
            if holder.stdout.readline() != "beam on\n":
                raise SystemExit("the holder did not get the beam on")
            # Each attempt meets the holder's signs of life at another moment.
            time.sleep(0.5 + 0.11 * attempt)
            lost_s = time.monotonic()
            holder.send_signal(number)
            after_s = agent.blanked_after_s(lost_s)
        finally:
            holder.kill()
            holder.wait()
    with agent.connect("witness") as witness:
        while witness.lease().holder is not None:
            time.sleep(0.1)
    return after_s


def main() -> None:
    """Measure and report."""
    parser = arguments(__doc__ or "")
    parser.add_argument(
        "--python-microscope",
        type=Path,
        metavar="PYTHON",
        help="measure python-microscope beside it, with an interpreter that has it installed",
    )
    options = parser.parse_args()
    calls = 500 if options.quick else 3000
    repeats = 1 if options.quick else 5
    with bench() as agent:
        with agent.connect("bench") as scope:
            idle = round_trips_ms(scope.stage, calls)
            direct = PyroControlClient("127.0.0.1", agent.port, credentials=agent.credentials)
            ping = round_trips_ms(lambda: direct.call("ping", {}), calls)
            direct.close()
            plain = plain_pyro_ms(calls)
            peer = python_microscope_ms(options.python_microscope, calls) if options.python_microscope else []
            with scope.control(reason="benchmark"):
                scope.start_session("during-scan")
                scope.unblank(max_duration_s=600)
                scope.stream(ScanStream(height_px=512, width_px=512))
                scanning = round_trips_ms(scope.stage, calls)
                scope.abort_scan()
                scope.blank()
                scope.stop_session()
        stops = [stop_during_scan_ms(agent) for _ in range(2 * repeats)]
        losses = {
            number: [blanked_after_loss_s(agent, number, attempt) for attempt in range(repeats)]
            for number in (signal.SIGKILL, signal.SIGSTOP)
        }
    figures = {
        "control_p50_ms": quantile(idle, 0.5),
        "control_p99_ms": quantile(idle, 0.99),
        "control_max_ms": max(idle),
        "control_ping_p50_ms": quantile(ping, 0.5),
        "control_during_scan_p50_ms": quantile(scanning, 0.5),
        "control_during_scan_p99_ms": quantile(scanning, 0.99),
        "control_during_scan_max_ms": max(scanning),
        "plain_pyro_p50_ms": quantile(plain, 0.5),
        "plain_pyro_p99_ms": quantile(plain, 0.99),
        "stop_during_scan_ms": max(answered for answered, _ in stops),
        "stop_during_scan_blanked_ms": max(blanked for _, blanked in stops),
        "blanked_after_loss_max_s": max(max(samples) for samples in losses.values()),
        "blanked_after_client_killed_max_s": max(losses[signal.SIGKILL]),
        "blanked_after_client_stopped_max_s": max(losses[signal.SIGSTOP]),
    }
    if peer:
        figures["python_microscope_p50_ms"] = quantile(peer, 0.5)
        figures["python_microscope_p99_ms"] = quantile(peer, 0.99)
    rounded = {key: round(value, 3) for key, value in figures.items()}
    report({**rounded, "calls": calls}, as_json=options.json, packages=("Pyro5", "cryptography"))


if __name__ == "__main__":
    main()
