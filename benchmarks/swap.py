"""Models swapped under full frame rate: frames lost, answers mixed, latency, promotion to first answer.

A microscope publishes as fast as the edge answers (lossless), an edge process serves, and a listener takes
every result. Signed bundles with one of two sets of weights are installed one after another through the
control channel; each answer is compared with what the weights of its version give. Then bundles that must be
refused are offered one after another. Latency is the edge's: from the receipt of a frame to its result.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zmq
from _harness import arguments, quantile, report
from _swap_spoiled import spoiled
from numpy.typing import NDArray
from securesystemslib.signer import CryptoSigner

from eucentric_core import (
    Axis,
    BundleError,
    FrameHeader,
    Lineage,
    ManagedProcess,
    Optics,
    ResultHeader,
    StagePosition,
    TransportError,
    utc_now,
)
from eucentric_core.transport import (
    EVENT_STREAM,
    DataServer,
    PyroControlClient,
    StreamPublisher,
    StreamSubscriber,
    find_free_port,
)
from eucentric_model_registry import BundleContent, build_and_sign_bundle, trusted_keys_of
from eucentric_models import Decoding, DriftReference, NetworkSpec, Preprocessing
from eucentric_models.backends import EnsembleSource, ServedEnsemble, backend_named
from eucentric_models.networks import build_network

SIDE_PX = 256
SPEC = NetworkSpec(n_classes=1, base_filters=24, depth=2, stem_factor=4)
MEMBERS = 2
FRAMES_BEFORE = 600
PATIENCE_S = 200.0
# The deviation travels as float16, and other batches may round the last bits differently.
SAME = 2e-3


def main() -> None:
    """Measure and report."""
    options = arguments(str(__doc__).splitlines()[0])
    options.add_argument("--swaps", type=int, default=100, help="installations (default: %(default)s)")
    options.add_argument(
        "--refusals", type=int, default=100, help="spoiled bundles offered (default: %(default)s)"
    )
    options.add_argument("--backend", default="openvino", help="what computes (default: %(default)s)")
    chosen = options.parse_args()
    if chosen.quick:
        chosen.swaps = chosen.refusals = 10
    torch.set_num_threads(1)
    backend = backend_named(chosen.backend)
    if reason := backend.unavailable():
        raise SystemExit(f"{chosen.backend}: {reason}")
    with tempfile.TemporaryDirectory(prefix="eucentric-swap-") as scratch:
        report(_measured(chosen, Path(scratch)), as_json=chosen.json, packages=["torch"])


@dataclass
class _Run:
    """What the listener has seen."""

    frames: list[NDArray[np.float32]]
    expected: Mapping[int, list[NDArray[np.float32]]]
    answered: list[ResultHeader] = field(default_factory=list)
    first_answer_s: dict[int, float] = field(default_factory=dict)
    mixed: int = 0
    published: int = 0
    failure: str | None = None

    def take(self, header: ResultHeader, array: NDArray[np.generic]) -> None:
        if header.stream == "detections":
            self.answered.append(header)
            self.first_answer_s.setdefault(header.model_version, time.perf_counter())
            return
        right = self.expected[header.model_version % 2][header.sequence % len(self.frames)]
        self.mixed += float(np.abs(array.astype(np.float32) - right).max()) > SAME


def _measured(chosen: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    frames = [
        np.random.default_rng(seed).poisson(20.0, (SIDE_PX,) * 2).astype(np.float32) for seed in range(8)
    ]
    sources = [_source(seed) for seed in (0, 1)]
    expected = {parity: _deviations(sources[parity], frames, chosen.backend) for parity in (0, 1)}
    apart = min(float(np.abs(a - b).max()) for a, b in zip(expected[0], expected[1], strict=True))
    if apart < 20 * SAME:
        raise SystemExit(f"the two sets of weights answer too alike ({apart:.3g}) to tell them apart")
    signer = CryptoSigner.generate_ed25519()
    (scratch / "trusted-keys.json").write_text(trusted_keys_of(signer).model_dump_json())
    references = [_reference(source, frames) for source in sources]
    bundles = [
        _bundle(scratch / f"bundle-{v}", v, sources[v % 2], references[v % 2], frames[0], signer)
        for v in range(1, chosen.swaps + 3)
    ]
    # The last one is never installed as it is.
    unfit = spoiled(bundles[-1], bundles[-2], bundles[0], scratch, signer)
    _tell(f"{len(bundles)} signed bundles of {MEMBERS} networks, {SIDE_PX} px, {chosen.backend}")
    run = _Run(frames, expected)
    promoted_s: dict[int, float] = {}
    prepared_s, swapped_s = [], []
    with zmq.Context() as context, _edge(scratch, context, chosen.backend) as (control, listener, publisher):
        control.call("install", {"folder": str(bundles[0])})
        stopping = threading.Event()
        publishing = threading.Thread(target=_publish, args=(publisher, run, stopping))
        listening = threading.Thread(target=_listen, args=(listener, run, stopping))
        publishing.start()
        listening.start()
        try:
            _wait(run, FRAMES_BEFORE // 4)
            begin = len(run.answered)
            _wait(run, begin + FRAMES_BEFORE)
            before = run.answered[begin : begin + FRAMES_BEFORE]
            begin = len(run.answered)
            for version, folder in enumerate(bundles[1:-1], start=2):
                promoted_s[version] = time.perf_counter()
                said = control.call("install", {"folder": str(folder)})
                prepared_s.append(float(str(said["prepare_s"])))
                swapped_s.append(float(str(said["swap_s"])))
                _wait(run, 1, version=version)
            during = run.answered[begin:]
            begin = len(run.answered)
            refused = sum(_refuses(control, unfit[turn % len(unfit)]) for turn in range(chosen.refusals))
            while_refusing = run.answered[begin:]
        finally:
            stopping.set()
            publishing.join()
            listening.join()
        status = control.call("status", {})
    if run.failure is not None:
        raise SystemExit(run.failure)
    sequences = [header.sequence for header in run.answered]
    gaps = sum(after - before - 1 for before, after in pairwise(sequences))
    latencies = [[header.latency_s for header in part] for part in (before, during, while_refusing)]
    p99_s = [quantile(part, 0.99) for part in latencies]
    first_s = [run.first_answer_s[version] - asked_s for version, asked_s in promoted_s.items()]
    return {
        "swaps": len(first_s),
        "dropped_frames": gaps + int(str(status["sequence_gaps"])) + int(str(status["frames_refused"])),
        "mixed_answers": run.mixed,
        "p99_ratio_during_swap": p99_s[1] / p99_s[0],
        "promotion_to_first_answer_p50_s": quantile(first_s, 0.5),
        "promotion_to_first_answer_p99_s": quantile(first_s, 0.99),
        "latency_p50_before_ms": 1e3 * quantile(latencies[0], 0.5),
        "latency_p50_during_ms": 1e3 * quantile(latencies[1], 0.5),
        "latency_p99_before_ms": 1e3 * p99_s[0],
        "latency_p99_during_ms": 1e3 * p99_s[1],
        "prepare_p50_s": quantile(prepared_s, 0.5),
        "swap_p50_ms": 1e3 * quantile(swapped_s, 0.5),
        "refused": refused,
        "offered_to_refuse": chosen.refusals,
        "p99_ratio_while_refusing": p99_s[2] / p99_s[0],
        "latency_p99_while_refusing_ms": 1e3 * p99_s[2],
        "frames_while_refusing": len(while_refusing),
        "frames_before": len(before),
        "frames_during": len(during),
        "frame_px": SIDE_PX,
        "backend": str(status["backend"]),
    }


def _refuses(control: PyroControlClient, folder: Path) -> bool:
    try:
        control.call("install", {"folder": str(folder)})
    except BundleError:
        return True
    return False


def _source(seed: int) -> EnsembleSource:
    networks = []
    for index in range(MEMBERS):
        network = build_network(SPEC, torch.Generator().manual_seed(10 * seed + index)).eval()
        with torch.no_grad():
            network.head.weight.mul_(3)
        networks.append(network)
    return EnsembleSource.of_networks(networks)


def _served(source: EnsembleSource, backend: str) -> ServedEnsemble:
    return ServedEnsemble(source, backend_named(backend), preprocessing=Preprocessing())


def _deviations(
    source: EnsembleSource, frames: list[NDArray[np.float32]], backend: str
) -> list[NDArray[np.float32]]:
    served = _served(source, backend)
    return [served.infer(frame).deviation for frame in frames]


def _reference(source: EnsembleSource, frames: list[NDArray[np.float32]]) -> DriftReference:
    served = _served(source, "torch")
    known = [served.infer(frame[:, : SIDE_PX - cut]) for cut in (0, 16) for frame in frames]
    return DriftReference.fit([k.features for k in known], [k.mean_entropy for k in known])


def _bundle(
    folder: Path,
    version: int,
    source: EnsembleSource,
    reference: DriftReference,
    frame: NDArray[np.float32],
    signer: CryptoSigner,
) -> Path:
    content = BundleContent(
        name="atoms",
        version=version,
        material="mos2",
        classes=("column",),
        network=SPEC,
        preprocessing=Preprocessing(),
        decoding=Decoding(threshold=0.5),
        members=source.members,
        drift_reference=reference,
        golden_frames=(frame[:96, :96],),
        metrics={"f1": 0.9},
        lineage=Lineage(
            datasets=("bench",),
            code_version="0",
            trigger_id=f"t{version}",
            policy="bench",
            run_id=f"r{version}",
        ),
    )
    build_and_sign_bundle(folder, content, signer)
    return folder


@contextmanager
def _edge(
    scratch: Path, context: zmq.Context[zmq.Socket[bytes]], backend: str
) -> Iterator[tuple[PyroControlClient, StreamSubscriber, StreamPublisher]]:
    agent, control, data = (find_free_port() for _ in range(3))
    home = scratch / "home"
    home.mkdir()
    config = home / "eucentric.toml"
    config.write_text(
        f'home = "{home}"\n[agent]\ndata_port = {agent}\n'
        f"[edge]\ncontrol_port = {control}\ndata_port = {data}\n"
        f'trusted_keys = "{scratch / "trusted-keys.json"}"\nbackend = "{backend}"\n'
    )
    server = DataServer(host="127.0.0.1", port=agent, ingest_endpoint="inproc://microscope", context=context)
    serving = threading.Thread(target=server.serve)
    serving.start()
    publisher = StreamPublisher("inproc://microscope", context=context)
    process = ManagedProcess(
        "edge",
        [sys.executable, "-m", "eucentric_edge", "serve", "--config", str(config)],
        log=home / "edge.log",
    )
    try:
        process.wait_ready((home / "run" / "edge.json").exists, timeout_s=PATIENCE_S)
        client = PyroControlClient("127.0.0.1", control, timeout_s=PATIENCE_S)
        with StreamSubscriber("127.0.0.1", data, mode="lossless", credit=64, context=context) as listener:
            listener.wait_subscribed(PATIENCE_S)
            yield client, listener, publisher
        client.close()
    finally:
        process.stop()
        publisher.close()
        server.stop()
        serving.join()


def _publish(publisher: StreamPublisher, run: _Run, stopping: threading.Event) -> None:
    while not stopping.is_set():
        array = run.frames[run.published % len(run.frames)]
        try:
            publisher.publish(_header(array, run.published), array)
        except TransportError:
            # Held back: the edge has all the frames it can take.
            continue
        run.published += 1


def _listen(listener: StreamSubscriber, run: _Run, stopping: threading.Event) -> None:
    while not stopping.is_set():
        try:
            message = listener.receive(0.5)
        except TransportError as error:
            run.failure = str(error)
            return
        if message is None:
            continue
        if message.stream != EVENT_STREAM:
            header, array = message.result()
            run.take(header, array)
        listener.acknowledge()


def _wait(run: _Run, count: int, *, version: int | None = None) -> None:
    """Until so many frames were answered, or one by this version."""
    until_s = time.perf_counter() + PATIENCE_S
    while len(run.answered) < count or (version is not None and version not in run.first_answer_s):
        if time.perf_counter() > until_s or run.failure is not None:
            raise SystemExit(run.failure or f"{len(run.answered)} answers after {PATIENCE_S:g} s")
        time.sleep(0.001)


def _header(array: NDArray[np.float32], sequence: int) -> FrameHeader:
    return FrameHeader(
        instrument="twin",
        session="bench",
        stream="haadf",
        sequence=sequence,
        acquired_utc=utc_now(),
        acquired_monotonic_s=time.monotonic(),
        shape=array.shape,
        dtype=array.dtype.name,
        simulated=True,
        axes=tuple(Axis(name=name, unit="m", scale=1e-11) for name in "yx"),
        optics=Optics(
            high_tension_v=60e3,
            beam_current_a=3e-11,
            convergence_angle_rad=0.03,
            defocus_m=0.0,
            field_of_view_m=SIDE_PX * 1e-11,
            dwell_time_s=1e-6,
        ),
        stage=StagePosition(),
        dose_e_per_a2=100.0,
    )


def _tell(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
