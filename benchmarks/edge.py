"""Inference at the edge: raw frame to columns, by every back end, beside AtomAI and the matmul peak.

Ours runs on one thread unless `--threads` says otherwise, AtomAI on one, in turns with ours. The whole path
is timed: normalisation, networks, statistics, entropy, drift features, sub-pixel positions. Networks are
trained here (graphene, 5 of them; kept in `--work`), so that the accuracy of what is timed is known. Without
`--atomai-python` the comparison is left out, with the reason in `atomai_skipped`. Training is none of what is
measured: `--train-only` does it beforehand, and has `torch.compile` fill its cache. docs/edge.md says what
the keys mean.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import _elit_data as elit_data
import _elit_own as elit_own
import numpy as np
import torch
from _elit_peer import Peer, PeerError
from _harness import arguments, quantile, report
from threadpoolctl import threadpool_limits
from torch.utils.flop_counter import FlopCounterMode

from eucentric_hpc import TrainingSet, train_member
from eucentric_models import Detections, judge_frame, normalise, total
from eucentric_models.backends import (
    BACKENDS,
    REFERENCE,
    Backend,
    BackendError,
    EnsembleSource,
    QuantisedBackend,
    ServedEnsemble,
    backend_named,
)

NAME = "graphene"
MEMBERS = 5
STEPS = 120
SIDES_PX = (256, 512, 1024)
SIDE_PX = 512
COMPILED = "torch-compile"
ATOMAI_EVERY = 10
"""AtomAI takes ten times as long: every tenth turn is enough for its median."""
SAME_F1 = 0.002
"""A back end whose F1 is lower than the reference's by more than this is another model, not a faster one."""


def main() -> None:
    """Measure and report."""
    chosen = _options()
    torch.set_num_threads(chosen.threads)
    with (
        threadpool_limits(chosen.threads, user_api="blas"),  # as the edge service does
        tempfile.TemporaryDirectory(prefix="eucentric-edge-") as scratch,
    ):
        work = chosen.work or Path(scratch)
        members = _members(work, STEPS // 4 if chosen.quick else STEPS)
        if chosen.train_only:
            _prepare(chosen, members, work)
        else:
            report(_figures(chosen, members, work, Path(scratch)), as_json=chosen.json, packages=["torch"])


def _options() -> argparse.Namespace:
    options = arguments(str(__doc__).splitlines()[0])
    options.add_argument("--threads", type=int, default=1, help="CPU threads for ours (default: %(default)s)")
    options.add_argument("--repetitions", type=int, default=200, help="timed frames (default: %(default)s)")
    options.add_argument("--atomai-python", type=Path, help="interpreter of an environment that has AtomAI")
    options.add_argument("--work", type=Path, help="where trainings are kept (default: nowhere)")
    options.add_argument(
        "--no-compile", action="store_true", help="leave torch.compile out (it takes minutes)"
    )
    options.add_argument("--train-only", action="store_true", help="prepare --work and stop")
    chosen = options.parse_args()
    if chosen.quick:
        chosen.repetitions, chosen.no_compile = 8, True
    return chosen


def _figures(
    chosen: argparse.Namespace, members: tuple[bytes, ...], work: Path, scratch: Path
) -> dict[str, Any]:
    data = elit_data.large_frame(NAME, SIDE_PX)
    single = EnsembleSource(elit_own.network(NAME), members[:1])
    whole = EnsembleSource(single.spec, members)
    figures: dict[str, Any] = {"threads": chosen.threads, "members": len(whole)}
    by_backend, skipped = _by_backend(chosen, single, data)
    backend = _fastest(by_backend)
    figures |= {"backend": backend, "backends": by_backend, "backends_skipped": skipped}
    _tell(f"fastest of the accuracy of the reference: {backend}")
    with ExitStack() as stack:
        figures |= _beside_atomai(chosen, stack, backend, single, whole, data, work, scratch)
    for side_px in SIDES_PX:
        if side_px != SIDE_PX:
            figures |= _sizes(chosen, backend, single, whole, side_px)
    figures |= _quantised(chosen, single, data)
    figures |= _of_peak(chosen, backend, single, figures["single_512_p50_ms"])
    return figures


def _members(work: Path, steps: int) -> tuple[bytes, ...]:
    frames = elit_data.training_frames(NAME, 80)
    truths = [truth for truth in frames.truths if truth is not None]
    found = []
    for seed in range(1, MEMBERS + 1):
        path = work / f"edge-{NAME}-{steps}-{seed}.safetensors"
        if not path.exists():
            _tell(f"training network {seed} of {MEMBERS}, {steps} steps")
            recipe = elit_own.TRAINING.model_copy(update={"steps": steps, "seed": seed})
            trained = train_member(
                frames.frames,
                truths,
                elit_own.network(NAME),
                recipe,
                preprocessing=elit_own.PREPROCESSING,
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(trained.weights)
        found.append(path.read_bytes())
    return tuple(found)


def _peer(python: Path, work: Path) -> Peer:
    """AtomAI, trained as for `elit.py`; what `--work` holds is not trained again."""
    peer = Peer(python, NAME, work / f"atomai-{NAME}")
    if not (peer.folder / "training.jsonl").exists():
        frames, validation = elit_data.training_frames(NAME, 160), elit_data.validation_frames(NAME, 24)
        peer.train(frames, validation, cycles=200, every=20)
    return peer


def _prepare(chosen: argparse.Namespace, members: tuple[bytes, ...], work: Path) -> None:
    """What takes minutes and is not timed."""
    if chosen.atomai_python:
        _peer(chosen.atomai_python, work)
    compiling = backend_named(COMPILED)
    if not chosen.no_compile and compiling.unavailable() is None:
        data = elit_data.large_frame(NAME, SIDE_PX)
        with _serving(
            EnsembleSource(elit_own.network(NAME), members[:1]), compiling, chosen.threads
        ) as served:
            _answer(served, data)


@contextmanager
def _serving(source: EnsembleSource, backend: Backend, threads: int) -> Iterator[ServedEnsemble]:
    served = ServedEnsemble(source, backend, preprocessing=elit_own.PREPROCESSING, threads=threads)
    try:
        yield served
    finally:
        served.close()


def _answer(served: ServedEnsemble, data: TrainingSet) -> Detections:
    inference = served.infer(data.frames[0], pixel_size_m=data.pixel_sizes_m[0])
    return inference.detections(elit_own.DECODING)


def _f1(found: Detections, data: TrainingSet) -> float:
    truth = data.truths[0]
    if truth is None:
        raise ValueError("an unlabelled frame cannot be judged")
    shape = (data.frames[0].shape[0], data.frames[0].shape[1])
    judged = judge_frame(found, truth, n_classes=1, pixel_size_m=data.pixel_sizes_m[0], shape=shape)
    return total([judged.score]).f1


def _by_backend(
    chosen: argparse.Namespace, source: EnsembleSource, data: TrainingSet
) -> tuple[dict[str, dict[str, float]], dict[str, str]]:
    """One network, every back end: times and the F1 that it keeps."""
    timed: dict[str, dict[str, float]] = {}
    skipped: dict[str, str] = {}
    for backend in BACKENDS:
        reason = backend.unavailable()
        if reason is None and backend.name == COMPILED and chosen.no_compile:
            reason = "not asked for"
        if reason is not None:
            skipped[backend.name] = reason
            continue
        try:
            with _serving(source, backend, chosen.threads) as served:
                f1 = _f1(_answer(served, data), data)
                samples_s = _timed(_asking(served, data), max(5, chosen.repetitions // 3))
        except BackendError as error:
            skipped[backend.name] = error.what[:300]
            continue
        timed[backend.name] = {**_percentiles(samples_s), "f1": f1}
        _tell(f"{backend.name}: {timed[backend.name]['p50_ms']:.1f} ms, F1 {f1:.4f}")
    return timed, skipped


def _fastest(timed: dict[str, dict[str, float]]) -> str:
    least = timed[REFERENCE]["f1"] - SAME_F1
    return min((n for n in timed if timed[n]["f1"] >= least), key=lambda name: timed[name]["p50_ms"])


def _beside_atomai(
    chosen: argparse.Namespace,
    stack: ExitStack,
    backend: str,
    single: EnsembleSource,
    whole: EnsembleSource,
    data: TrainingSet,
    work: Path,
    scratch: Path,
) -> dict[str, Any]:
    """512 px: one network, the ensemble and AtomAI in turns, so that all see the same machine."""
    runs: dict[str, Callable[[], object]] = {}
    f1: dict[str, float] = {}
    for key, source in (("single", single), ("ensemble5", whole)):
        served = stack.enter_context(_serving(source, backend_named(backend), chosen.threads))
        f1[key] = _f1(_answer(served, data), data)
        runs[key] = _asking(served, data)
    skipped = None if chosen.atomai_python else "no --atomai-python was given"
    if skipped is None:
        try:
            peer = _peer(chosen.atomai_python, work)
            checkpoint = peer.checkpoints()[-1]
            f1["atomai"] = peer.judge(checkpoint, {"large": data})["large"].f1
            server = stack.enter_context(peer.server(checkpoint))
            path = scratch / "timed.npy"
            np.save(path, data.frames[0].astype(np.float32))
            runs["atomai"] = lambda: server.predict(path)
        except PeerError as error:
            skipped = str(error)
    samples_s: dict[str, list[float]] = {key: [] for key in runs}
    for turn in range(chosen.repetitions + 2 * ATOMAI_EVERY):
        for key, run in runs.items():
            if key != "atomai" or turn % ATOMAI_EVERY == 0:
                started_s = time.perf_counter()
                run()
                samples_s[key].append(time.perf_counter() - started_s)
    figures: dict[str, Any] = {}
    for key, samples in samples_s.items():
        figures |= {f"{key}_512_{name}": value for name, value in _percentiles(samples[2:]).items()}
        figures[f"{key}_512_f1"] = f1[key]
    figures["single_512_p99_over_p50"] = figures["single_512_p99_ms"] / figures["single_512_p50_ms"]
    figures["ensemble5_512_p99_over_p50"] = figures["ensemble5_512_p99_ms"] / figures["ensemble5_512_p50_ms"]
    if skipped is None:
        figures["speedup_vs_atomai"] = figures["atomai_512_p50_ms"] / figures["single_512_p50_ms"]
        figures["speedup_of_ensemble5_vs_atomai"] = (
            figures["atomai_512_p50_ms"] / figures["ensemble5_512_p50_ms"]
        )
    else:
        figures |= {"atomai_skipped": skipped, "speedup_vs_atomai": None}
    _tell(", ".join(f"{key} {1e3 * quantile(value[2:], 0.5):.1f} ms" for key, value in samples_s.items()))
    return figures


def _sizes(
    chosen: argparse.Namespace, backend: str, single: EnsembleSource, whole: EnsembleSource, side_px: int
) -> dict[str, float]:
    data = elit_data.large_frame(NAME, side_px)
    figures: dict[str, float] = {}
    for key, source in (("single", single), ("ensemble5", whole)):
        with _serving(source, backend_named(backend), chosen.threads) as served:
            samples_s = _timed(_asking(served, data), max(5, chosen.repetitions // 4))
        figures |= {f"{key}_{side_px}_{name}": value for name, value in _percentiles(samples_s).items()}
    return figures


def _quantised(chosen: argparse.Namespace, source: EnsembleSource, data: TrainingSet) -> dict[str, Any]:
    """INT8, calibrated on frames of the training: time, F1, and how many pixels change sides."""
    runtime: Any = backend_named("openvino")
    if reason := runtime.unavailable():
        return {"int8_skipped": reason}
    logging.getLogger().setLevel(logging.ERROR)
    images = [normalise(f, elit_own.PREPROCESSING) for f in elit_data.training_frames(NAME, 8).frames]
    with (
        _serving(source, QuantisedBackend(runtime, tuple(images)), chosen.threads) as int8,
        _serving(source, backend_named(REFERENCE), chosen.threads) as reference,
    ):
        frame, size_m = data.frames[0], data.pixel_sizes_m[0]
        maps = [served.infer(frame, pixel_size_m=size_m).maps for served in (int8, reference)]
        sides = [each >= elit_own.DECODING.threshold for each in maps]
        samples_s = _timed(lambda: _answer(int8, data), max(5, chosen.repetitions // 4))
        return {
            **{f"int8_512_{name}": value for name, value in _percentiles(samples_s).items()},
            "int8_512_f1": _f1(_answer(int8, data), data),
            "int8_512_f1_of_float32": _f1(_answer(reference, data), data),
            "int8_changed_pixels": float((sides[0] != sides[1]).mean()),
            "int8_largest_difference": float(np.abs(maps[0] - maps[1]).max()),
        }


def _of_peak(
    chosen: argparse.Namespace, backend: str, source: EnsembleSource, p50_ms: float
) -> dict[str, float]:
    """Arithmetic of the network over time, for the whole path and for the network alone."""
    (network,) = source.networks()
    image = torch.rand(1, 1, SIDE_PX, SIDE_PX)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(image)
    work = float(counter.get_total_flops())
    dtype = torch.bfloat16 if backend_named(backend).precision == "bfloat16" else torch.float32
    left = torch.rand(2048, 2048).to(dtype)
    product_s = quantile(_timed(lambda: left @ left, 8), 0.5)
    peak = 2 * 2048**3 / product_s
    compiled = backend_named(backend).compile(source, shape=(SIDE_PX, SIDE_PX), threads=chosen.threads)
    alone_s = quantile(_timed(lambda: compiled.run(image[0].numpy()), max(5, chosen.repetitions // 3)), 0.5)
    compiled.close()
    return {
        "network_gflop": work / 1e9,
        "matmul_peak_gflop_per_s": peak / 1e9,
        "network_alone_p50_ms": 1e3 * alone_s,
        "peak_fraction": work / (p50_ms / 1e3) / peak,
        "peak_fraction_of_network_alone": work / alone_s / peak,
    }


def _asking(served: ServedEnsemble, data: TrainingSet) -> Callable[[], object]:
    return lambda: _answer(served, data)


def _timed(run: Callable[[], object], repetitions: int) -> list[float]:
    for _ in range(2):
        run()
    samples_s = []
    for _ in range(repetitions):
        started_s = time.perf_counter()
        run()
        samples_s.append(time.perf_counter() - started_s)
    return samples_s


def _percentiles(samples_s: Sequence[float]) -> dict[str, float]:
    p50_s = quantile(samples_s, 0.5)
    return {"p50_ms": 1e3 * p50_s, "p99_ms": 1e3 * quantile(samples_s, 0.99), "frames_per_s": 1 / p50_s}


def _tell(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
