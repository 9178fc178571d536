"""Every back end gives the answers of the networks themselves, and fails in the same words."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from eucentric_models import InvalidFrameError, NetworkSpec, Preprocessing, WeightsError
from eucentric_models.backends import (
    BACKENDS,
    REFERENCE,
    Backend,
    BackendError,
    BackendUnavailableError,
    CompiledEnsemble,
    EnsembleOutput,
    EnsembleSource,
    QuantisedBackend,
    ServedEnsemble,
    backend_named,
    opened,
    quantised_graph,
)
from eucentric_models.networks import Ensemble, UNet, build_network

SHAPE = (40, 56)
KINDS = ("unet", "resunet", "fast")


def spec_of(kind: str, *, classes: int = 2, stem_factor: int = 4) -> NetworkSpec:
    return NetworkSpec.model_validate(
        {"kind": kind, "n_classes": classes, "base_filters": 8, "depth": 1, "stem_factor": stem_factor}
    )


def source_of(spec: NetworkSpec, members: int, *, seed: int = 0) -> EnsembleSource:
    networks: list[UNet] = []
    for index in range(members):
        generator = torch.Generator().manual_seed(100 * seed + index)
        network = build_network(spec, generator).eval()
        with torch.no_grad():
            # Answers far from each other, and biases and scales that are not those of a fresh network.
            network.head.weight.mul_(4)
            for parameter in network.parameters():
                parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
        networks.append(network)
    return EnsembleSource.of_networks(networks)


def images(count: int = 1, *, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random((count, *SHAPE), np.float32)


def expected_of(source: EnsembleSource, image: NDArray[np.float32]) -> EnsembleOutput:
    """One member after another, as it is written in the class of the networks."""
    with torch.inference_mode():
        answers = [
            network.forward_with_embedding(torch.from_numpy(image)[None, None])
            for network in source.networks()
        ]
        members = torch.cat([torch.sigmoid(logits) for logits, _ in answers])
        return EnsembleOutput(
            maps=members.mean(dim=0, keepdim=True).numpy(),
            deviation=members.std(dim=0, correction=0).amax(dim=0, keepdim=True).numpy(),
            strongest=members.amax(dim=1)[None].numpy(),
            embedding=torch.cat([pooled for _, pooled in answers], dim=1).numpy(),
        )


LACKING = {backend.name: reason for backend in BACKENDS if (reason := backend.unavailable())}


# torch.compile takes a C++ compiler and long: it has a test of its own below.
@pytest.fixture(
    params=[each for each in BACKENDS if each.name not in {*LACKING, "torch-compile"}],
    ids=lambda each: each.name,
)
def backend(request: pytest.FixtureRequest) -> Backend:
    chosen: Backend = request.param
    return chosen


@pytest.fixture
def compiled(backend: Backend) -> Iterator[CompiledEnsemble]:
    with opened(backend.compile(source_of(spec_of("unet"), 2), shape=SHAPE, batch=3)) as ready:
        yield ready


def assert_close(backend: Backend, given: EnsembleOutput, expected: EnsembleOutput) -> None:
    for name in ("maps", "deviation", "strongest"):
        left, right = getattr(given, name), getattr(expected, name)
        assert (left.shape, left.dtype) == (right.shape, np.float32)
        np.testing.assert_allclose(left, right, rtol=0, atol=backend.tolerance, err_msg=name)
    assert given.embedding.shape == expected.embedding.shape
    np.testing.assert_allclose(
        given.embedding, expected.embedding, rtol=10 * backend.tolerance, atol=10 * backend.tolerance
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("members", [1, 3])
def test_answers_are_those_of_the_networks(backend: Backend, kind: str, members: int) -> None:
    source = source_of(spec_of(kind), members)
    with opened(backend.compile(source, shape=SHAPE)) as ready:
        assert_close(backend, ready.run(images()), expected_of(source, images()[0]))


@pytest.mark.parametrize(("classes", "stem_factor"), [(1, 2), (3, 8), (2, 1)])
def test_classes_and_folds_of_every_number_are_taken(
    backend: Backend, classes: int, stem_factor: int
) -> None:
    source = source_of(spec_of("unet", classes=classes, stem_factor=stem_factor), 2)
    with opened(backend.compile(source, shape=SHAPE)) as ready:
        assert_close(backend, ready.run(images()), expected_of(source, images()[0]))


def test_sides_that_are_no_multiple_are_padded_as_the_network_pads_them(backend: Backend) -> None:
    source = source_of(spec_of("unet"), 2)
    image = images()[0][:37, :51].copy()
    with opened(backend.compile(source, shape=(37, 51))) as ready:
        assert_close(backend, ready.run(image[None]), expected_of(source, image))


def test_a_batch_answers_each_image_as_if_it_were_alone(backend: Backend, compiled: CompiledEnsemble) -> None:
    source, pair = source_of(spec_of("unet"), 2), images(2)
    together = compiled.run(pair)
    assert len(together.maps) == 2
    for index in range(2):
        alone = EnsembleOutput(
            **{name: getattr(together, name)[index : index + 1] for name in EnsembleOutput.__slots__}
        )
        assert_close(backend, alone, expected_of(source, pair[index]))


def test_answers_are_the_callers_own(compiled: CompiledEnsemble) -> None:
    first = compiled.run(images(seed=1))
    kept = first.maps.copy()
    compiled.run(images(seed=2))
    np.testing.assert_array_equal(first.maps, kept)


def test_new_weights_are_another_ensemble_and_the_old_one_answers_on(
    backend: Backend, compiled: CompiledEnsemble
) -> None:
    before = compiled.run(images()).maps
    newer = source_of(spec_of("unet"), 2, seed=7)
    with opened(backend.compile(newer, shape=SHAPE)) as other:
        assert_close(backend, other.run(images()), expected_of(newer, images()[0]))
        np.testing.assert_allclose(compiled.run(images()).maps, before, rtol=0, atol=1e-6)
    np.testing.assert_allclose(compiled.run(images()).maps, before, rtol=0, atol=1e-6)


def test_what_is_closed_answers_no_more(compiled: CompiledEnsemble) -> None:
    compiled.close()
    compiled.close()
    with pytest.raises(BackendError, match="closed"):
        compiled.run(images())


def test_threads_share_an_ensemble_and_each_gets_its_own_answer(compiled: CompiledEnsemble) -> None:
    expected = [compiled.run(images(seed=seed)).maps for seed in range(4)]
    said: dict[int, NDArray[np.float32]] = {}

    def ask(seed: int) -> None:
        for _ in range(3):
            said[seed] = compiled.run(images(seed=seed)).maps

    asking = [threading.Thread(target=ask, args=(seed,)) for seed in range(4)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    for seed in range(4):
        np.testing.assert_allclose(said[seed], expected[seed], rtol=0, atol=1e-6)


def test_the_runtime_is_held_to_its_threads(backend: Backend) -> None:
    before = torch.get_num_threads()
    with opened(backend.compile(source_of(spec_of("fast"), 1), shape=SHAPE, threads=1)) as ready:
        ready.run(images())
        assert ready.threads == 1
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    "wrong",
    [images()[0], images()[:, :-4], images(4), images().astype(np.float64), images()[:0]],
    ids=["no batch", "another size", "too many", "float64", "none"],
)
def test_images_of_another_kind_are_refused_and_the_next_ones_answered(
    compiled: CompiledEnsemble, wrong: NDArray[np.float32]
) -> None:
    with pytest.raises(BackendError, match="nothing was computed"):
        compiled.run(wrong)
    compiled.run(images())


@pytest.mark.parametrize(
    "asked",
    [{"shape": (4, 56)}, {"shape": (65_536, 65_536)}, {"batch": 0}, {"batch": 65}, {"threads": 0}],
    ids=str,
)
def test_what_is_out_of_bounds_is_not_compiled(backend: Backend, asked: dict[str, object]) -> None:
    with pytest.raises(BackendError, match="nothing was computed"):
        backend.compile(source_of(spec_of("fast"), 1), **{"shape": SHAPE, **asked})  # type: ignore[arg-type]


def test_weights_of_another_architecture_are_refused(backend: Backend) -> None:
    members = source_of(spec_of("unet"), 1).members
    with pytest.raises(WeightsError, match="tensors"):
        backend.compile(EnsembleSource(spec_of("fast"), members), shape=SHAPE)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore")  # of Inductor's own modules, which use what PyTorch gives up
def test_what_torch_compiles_answers_as_the_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One kind only: each takes Inductor and a C++ compiler tens of seconds."""
    backend = backend_named("torch-compile")
    if reason := backend.unavailable():
        pytest.skip(reason)
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "inductor"))
    source = source_of(spec_of("fast"), 1)
    with opened(backend.compile(source, shape=SHAPE)) as ready:
        assert_close(backend, ready.run(images()), expected_of(source, images()[0]))
        with pytest.raises(BackendError, match="nothing was computed"):
            ready.run(images()[:, :-8])
    with pytest.raises(BackendError, match="closed"):
        ready.run(images())


def test_a_name_that_is_none_lists_those_that_are() -> None:
    with pytest.raises(BackendUnavailableError, match="onnxruntime"):
        backend_named("abacus")
    assert len({each.name for each in BACKENDS}) == len(BACKENDS)
    assert backend_named(REFERENCE).unavailable() is None


@pytest.mark.parametrize("name", LACKING)
def test_what_a_machine_lacks_is_said_and_not_compiled(name: str) -> None:
    with pytest.raises(BackendUnavailableError, match="cannot be used here"):
        backend_named(name).compile(source_of(spec_of("fast"), 1), shape=SHAPE)


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda each: each.name)
def test_every_back_end_was_tried_here(backend: Backend) -> None:
    if backend.name in LACKING:
        pytest.skip(f"{backend.name}: {LACKING[backend.name]}")
    assert 0 < backend.tolerance < 0.1


class TestQuantised:
    @pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
    @pytest.mark.parametrize("kind", KINDS)
    def test_int8_answers_nearly_as_the_networks(self, runtime: str, kind: str) -> None:
        if runtime in LACKING:
            pytest.skip(LACKING[runtime])
        source = source_of(spec_of(kind), 2)
        chosen = QuantisedBackend(backend_named(runtime), tuple(images(4, seed=3)))  # type: ignore[arg-type]
        with opened(chosen.compile(source, shape=SHAPE)) as ready:
            difference = np.abs(ready.run(images()).maps - expected_of(source, images()[0]).maps)
        assert 0 < difference.mean() < 0.01
        assert difference.max() < chosen.tolerance

    def test_without_frames_there_is_no_calibration(self) -> None:
        with pytest.raises(ValueError, match="calibration"):
            quantised_graph(source_of(spec_of("fast"), 1), [])


class TestServed:
    def test_raw_frames_are_answered_as_ensembles_answer_them(self, backend: Backend) -> None:
        source = source_of(spec_of("unet"), 2)
        preprocessing = Preprocessing(working_pixel_size_m=2e-11)
        frame = np.random.default_rng(1).poisson(20, (64, 48)).astype(np.uint16)
        served = ServedEnsemble(source, backend, preprocessing=preprocessing)
        ensemble = Ensemble(source.spec, source.members, preprocessing=preprocessing)
        for pixel_size_m in (2e-11, 3e-11, None):
            ours = served.infer(frame, pixel_size_m=pixel_size_m)
            expected = ensemble.infer(frame, pixel_size_m=pixel_size_m)
            assert ours.scale == expected.scale
            assert served.working_shape((64, 48), pixel_size_m) == expected.maps.shape[1:]
            np.testing.assert_allclose(ours.maps, expected.maps, rtol=0, atol=backend.tolerance)
            np.testing.assert_allclose(ours.deviation, expected.deviation, rtol=0, atol=backend.tolerance)
            assert ours.mean_entropy == pytest.approx(expected.mean_entropy, abs=backend.tolerance)
            np.testing.assert_allclose(ours.features, expected.features, rtol=0.1, atol=0.1)

    def test_frames_of_several_shapes_are_computed_together_and_come_back_in_order(self) -> None:
        source = source_of(spec_of("fast"), 1)
        served = ServedEnsemble(source, backend_named(REFERENCE), preprocessing=Preprocessing(), batch=2)
        frames = [np.random.default_rng(i).random((32 + 8 * (i % 2), 40)) for i in range(5)]
        together = served.infer_many(frames, pixel_sizes_m=[None] * 5)
        for frame, inference in zip(frames, together, strict=True):
            np.testing.assert_allclose(inference.maps, served.infer(frame).maps, rtol=0, atol=1e-5)

    def test_only_the_last_shapes_are_kept_and_a_closed_one_says_so(self) -> None:
        source = source_of(spec_of("fast"), 1)
        served = ServedEnsemble(source, backend_named(REFERENCE), preprocessing=Preprocessing())
        first = served.compile_for((32, 32))
        for side in (40, 48, 56, 64):
            served.compile_for((side, side))
        assert served.compile_for((64, 64)) is served.compile_for((64, 64))
        assert served.compile_for((32, 32)) is not first
        first.run(np.zeros((1, 32, 32), np.float32))
        served.close()
        with pytest.raises(BackendError, match="closed"):
            served.infer(np.ones((32, 32)))

    def test_a_frame_that_is_too_small_is_refused_as_ensembles_refuse_it(self) -> None:
        served = ServedEnsemble(
            source_of(spec_of("fast"), 1), backend_named(REFERENCE), preprocessing=Preprocessing()
        )
        with pytest.raises(InvalidFrameError, match="too small"):
            served.infer(np.ones((4, 64)))
