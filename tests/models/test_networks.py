from __future__ import annotations

import subprocess
import sys
from threading import Thread

import numpy as np
import pytest
import safetensors.torch
import torch
from pydantic import ValidationError

from eucentric_models import InvalidFrameError, NetworkSpec, WeightsError
from eucentric_models.networks import Ensemble, build_network, load_weights, weights_to_bytes

SPEC = NetworkSpec(n_classes=3, base_filters=8, depth=1, stem_factor=4)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def member(seed: int, spec: NetworkSpec = SPEC) -> bytes:
    return weights_to_bytes(build_network(spec, torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("shape", [(64, 64), (65, 97), (40, 130)])
@pytest.mark.parametrize(
    "spec",
    [SPEC, NetworkSpec(n_classes=2, base_filters=4, depth=3, stem_factor=1)],
    ids=["folded", "plain"],
)
def test_maps_have_the_size_of_the_frame_whatever_it_is(spec: NetworkSpec, shape: tuple[int, int]) -> None:
    network = build_network(spec, torch.Generator().manual_seed(0)).eval()
    with torch.inference_mode():
        logits, embedding = network.forward_with_embedding(torch.rand(2, 1, *shape))
    assert logits.shape == (2, spec.n_classes, *shape)
    assert embedding.shape == (2, spec.embedding_size)
    assert float(torch.sigmoid(logits).mean()) < 0.3, "a fresh network must expect few peaks"


def test_weights_survive_the_way_through_safetensors() -> None:
    blob = member(1)
    frame = torch.rand(1, 1, 64, 64)
    first, second = load_weights(SPEC, blob), load_weights(SPEC, blob)
    with torch.inference_mode():
        torch.testing.assert_close(first(frame), second(frame), rtol=0, atol=0)
    assert weights_to_bytes(first) == blob
    assert member(1) == blob
    assert member(2) != blob


def test_weights_that_do_not_fit_are_refused() -> None:
    tensors = safetensors.torch.load(member(1))
    name = next(iter(tensors))
    wrong = {
        "not readable": b"no safetensors at all",
        "missing or unknown": safetensors.torch.save({k: v for k, v in tensors.items() if k != name}),
        "torch.float64": safetensors.torch.save({**tensors, name: tensors[name].double()}),
        "NaN": safetensors.torch.save({**tensors, name: tensors[name] * float("nan")}),
    }
    for reason, blob in wrong.items():
        with pytest.raises(WeightsError, match=reason):
            load_weights(SPEC, blob)
    with pytest.raises(WeightsError, match="not torch"):
        load_weights(SPEC.model_copy(update={"base_filters": 16}), member(1))


def test_an_ensemble_averages_its_members_and_tells_where_they_differ() -> None:
    frame = np.random.default_rng(0).poisson(20, (64, 80)).astype(np.uint16)
    alone = [Ensemble(SPEC, [member(seed)]).infer(frame) for seed in (1, 2)]
    both = Ensemble(SPEC, [member(1), member(2)]).infer(frame)
    np.testing.assert_allclose(both.maps, (alone[0].maps + alone[1].maps) / 2, atol=1e-6)
    apart = np.abs(alone[0].maps - alone[1].maps).max(axis=0) / 2
    np.testing.assert_allclose(both.deviation, apart, atol=1e-6)
    assert alone[0].deviation.max() == 0
    assert len(both.features) == 2 * SPEC.embedding_size + 8
    assert 0 <= both.mean_entropy <= np.log(2) + 1e-6


def test_an_ensemble_gives_the_same_answer_to_several_threads_at_once() -> None:
    ensemble = Ensemble(SPEC, [member(1), member(2)])
    frames = [np.random.default_rng(seed).poisson(20, (64, 64)) for seed in range(6)]
    alone = [ensemble.infer(frame).maps for frame in frames]
    together: dict[int, np.ndarray] = {}

    def answer(index: int) -> None:
        together[index] = ensemble.infer(frames[index]).maps

    threads = [Thread(target=answer, args=(index,)) for index in range(len(frames))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index, expected in enumerate(alone):
        np.testing.assert_array_equal(together[index], expected)


def test_frames_smaller_than_one_cell_of_the_network_are_refused() -> None:
    with pytest.raises(InvalidFrameError, match="too small"):
        Ensemble(SPEC, [member(1)]).infer(np.zeros((7, 64)))


def test_an_ensemble_of_nobody_and_an_impossible_network_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one member"):
        Ensemble(SPEC, [])
    with pytest.raises(ValidationError):
        NetworkSpec(n_classes=3, stem_factor=3)
    with pytest.raises(ValidationError):
        NetworkSpec.model_validate({"n_classes": 3, "filters": 8})


def test_the_room_is_light_until_networks_are_asked_for() -> None:
    code = (
        "import sys, eucentric_models, eucentric_models.image_formation, eucentric_models.crystal;"
        "heavy = {'torch', 'scipy', 'skimage', 'safetensors'} & set(sys.modules);"
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert finished.returncode == 0, finished.stderr
