"""Networks as other runtimes see them, and members side by side: the same answers as one after another."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from eucentric_models import NetworkSpec
from eucentric_models.backends import (
    FOLDED_LOGITS,
    EnsembleSource,
    changed_pixels,
    maps_of_folded,
    plain_graph,
)
from eucentric_models.networks import (
    Branches,
    UNet,
    VectorisedMembers,
    build_network,
    export_onnx,
    export_program,
    load_weights,
    weights_to_bytes,
)

SHAPE = (32, 48)
KINDS = ("unet", "resunet", "fast")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def members(kind: str, count: int) -> list[UNet]:
    spec = NetworkSpec.model_validate(
        {"kind": kind, "n_classes": 2, "base_filters": 8, "depth": 2, "stem_factor": 2}
    )
    return [build_network(spec, torch.Generator().manual_seed(seed)).eval() for seed in range(count)]


def image() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).random((1, 1, *SHAPE), np.float32))


@pytest.mark.parametrize("kind", KINDS)
class TestKinds:
    def test_every_kind_gives_a_map_per_class_and_survives_its_file(self, kind: str) -> None:
        (network,) = members(kind, 1)
        again = load_weights(network.spec, weights_to_bytes(network))
        with torch.inference_mode():
            maps = network(image())
            assert maps.shape == (1, 2, *SHAPE)
            torch.testing.assert_close(again(image()), maps)

    def test_half_as_large_files_give_nearly_the_same_maps(self, kind: str) -> None:
        (network,) = members(kind, 1)
        half = weights_to_bytes(network, half=True)
        assert len(half) < 0.7 * len(weights_to_bytes(network))
        with torch.inference_mode():
            expected = torch.sigmoid(network(image()))
            difference = torch.sigmoid(load_weights(network.spec, half)(image())) - expected
        assert 0 < difference.abs().max() < 5e-3

    def test_the_plain_network_is_the_same_on_the_frame_that_it_was_fixed_on(self, kind: str) -> None:
        onnxruntime = pytest.importorskip("onnxruntime")
        (network,) = members(kind, 1)
        source, frame = EnsembleSource.of_networks([network]), image()[0, 0].numpy()
        graph = plain_graph(source, [frame], SHAPE)
        session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
        (folded,) = session.run([FOLDED_LOGITS], {"images": frame[None, None]})
        with torch.inference_mode():
            expected = torch.sigmoid(network(image()))[0].numpy()
        np.testing.assert_allclose(maps_of_folded(folded, network.spec), expected, rtol=0, atol=1e-5)
        assert changed_pixels(source, graph, [frame]) == 0
        others = [frame, np.sqrt(frame)]
        (elsewhere,) = onnxruntime.InferenceSession(
            plain_graph(source, others, SHAPE).SerializeToString(), providers=["CPUExecutionProvider"]
        ).run([FOLDED_LOGITS], {"images": frame[None, None]})
        assert np.abs(elsewhere - folded).max() > 0
        with pytest.raises(ValueError, match="not a multiple of 8"):
            plain_graph(source, [frame], (36, 48))

    def test_members_side_by_side_answer_as_one_after_another(self, kind: str) -> None:
        networks = members(kind, 3)
        together = VectorisedMembers(networks)
        with torch.inference_mode():
            logits, embeddings = together(image())
            assert logits.shape == (3, 1, 2, *SHAPE)
            for index, network in enumerate(networks):
                alone, embedding = network.forward_with_embedding(image())
                torch.testing.assert_close(logits[index], alone, rtol=1e-4, atol=1e-4)
                torch.testing.assert_close(embeddings[index], embedding, rtol=1e-4, atol=1e-4)


def test_a_specification_of_the_first_version_is_still_read() -> None:
    spec = NetworkSpec.model_validate_json(
        '{"n_classes": 3, "base_filters": 24, "depth": 1, "stem_factor": 4}'
    )
    assert spec.kind == "unet"


class TestExport:
    @pytest.mark.parametrize("count", [1, 3])
    def test_the_exported_program_answers_as_the_networks(self, count: int) -> None:
        networks = members("unet", count)
        program = export_program(networks, SHAPE).module()
        with torch.inference_mode():
            expected = torch.stack([torch.sigmoid(network(image())) for network in networks])
            maps, deviation = program(image())
        torch.testing.assert_close(maps, expected.mean(dim=0), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(
            deviation, expected.std(dim=0, correction=0).amax(dim=1), rtol=1e-3, atol=1e-5
        )

    # torch itself uses what torch has deprecated.
    @pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
    @pytest.mark.parametrize("count", [1, 2])
    def test_onnxruntime_answers_as_the_networks(self, count: int) -> None:
        pytest.importorskip("onnx")
        pytest.importorskip("onnxscript")
        onnxruntime = pytest.importorskip("onnxruntime")
        networks = members("resunet", count)
        session = onnxruntime.InferenceSession(
            export_onnx(networks, SHAPE), providers=["CPUExecutionProvider"]
        )
        maps, deviation = session.run(["maps", "deviation"], {"images": image().numpy()})
        with torch.inference_mode():
            expected_maps, expected_deviation = Branches(networks)(image())
        np.testing.assert_allclose(maps, expected_maps.numpy(), rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(deviation, expected_deviation.numpy(), rtol=1e-3, atol=1e-4)

    def test_shapes_that_the_network_would_have_to_pad_are_refused(self) -> None:
        with pytest.raises(ValueError, match="multiple of 8"):
            export_program(members("unet", 1), (30, 48))

    def test_no_member_is_no_ensemble(self) -> None:
        with pytest.raises(ValueError, match="at least one"):
            Branches([])
        with pytest.raises(ValueError, match="one architecture"):
            VectorisedMembers([*members("unet", 1), *members("fast", 1)])
