"""What holds for every encoder, and what each alone."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import safetensors.torch
import torch
from numpy.typing import NDArray

from eucentric_models.fewshot import ChipEncoder, CombinedEncoder, EncoderError, open_encoder
from eucentric_models.fewshot._texture_weights import (
    CARD_FILE,
    SHIPPED_FOLDER,
    WEIGHTS_FILE,
    EncoderCard,
)
from eucentric_models.fewshot.textures import EpisodeSpec, draw_episode

NAMES = ("textures", "handmade", "textures+handmade")


@pytest.fixture(scope="module")
def chips() -> NDArray[np.float32]:
    """Two chips each of six textures."""
    spec = EpisodeSpec(images=2, textures_per_image=3, shots=1, queries=1)
    return draw_episode(spec, np.random.default_rng(11)).reshape(-1, 64, 64)


@pytest.fixture(scope="module")
def opened() -> dict[str, ChipEncoder]:
    return {name: open_encoder(name) for name in NAMES}


@pytest.fixture
def encoder(name: str, opened: dict[str, ChipEncoder]) -> ChipEncoder:
    return opened[name]


@pytest.mark.parametrize("name", NAMES)
class TestEveryEncoder:
    def test_gives_finite_vectors_of_length_one(
        self, name: str, encoder: ChipEncoder, chips: NDArray[np.float32]
    ) -> None:
        vectors = encoder.embed(chips)
        assert vectors.shape == (len(chips), encoder.dimension)
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)

    def test_answers_a_chip_alone_as_among_others(
        self, name: str, encoder: ChipEncoder, chips: NDArray[np.float32]
    ) -> None:
        together = encoder.embed(np.concatenate([chips] * 12))
        np.testing.assert_allclose(encoder.embed(chips[3:4])[0], together[3], atol=1e-5)
        np.testing.assert_allclose(together[-1], encoder.embed(chips)[-1], atol=1e-5)

    def test_puts_chips_of_one_texture_closer_than_those_of_others(
        self, name: str, encoder: ChipEncoder, chips: NDArray[np.float32]
    ) -> None:
        vectors = encoder.embed(chips)
        nearest = (vectors[::2] @ vectors[1::2].T).argmax(axis=1)
        assert (nearest == np.arange(6)).mean() >= 5 / 6

    @pytest.mark.parametrize("shape", [(8, 8), (95, 95), (34, 35), (200, 180)])
    def test_takes_chips_of_any_size(self, name: str, encoder: ChipEncoder, shape: tuple[int, int]) -> None:
        vectors = encoder.embed(np.random.default_rng(0).random((2, *shape), np.float32))
        assert np.isfinite(vectors).all()

    def test_survives_chips_that_show_nothing(self, name: str, encoder: ChipEncoder) -> None:
        odd = np.stack([np.zeros((64, 64)), np.ones((64, 64)), np.full((64, 64), 1e6)]).astype(np.float32)
        assert np.isfinite(encoder.embed(odd)).all()

    def test_changes_nothing_global_and_can_be_shared_by_threads(
        self, name: str, encoder: ChipEncoder, chips: NDArray[np.float32]
    ) -> None:
        expected = encoder.embed(chips)
        before = (torch.get_num_threads(), torch.get_default_dtype(), torch.get_rng_state().tolist())
        answers: list[NDArray[np.float32]] = []
        threads = [Thread(target=lambda: answers.append(encoder.embed(chips))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(answers) == 4
        for answer in answers:
            np.testing.assert_allclose(answer, expected, atol=1e-5)
        after = (torch.get_num_threads(), torch.get_default_dtype(), torch.get_rng_state().tolist())
        assert after == before

    def test_opens_from_its_own_files_as_the_same(
        self, name: str, encoder: ChipEncoder, chips: NDArray[np.float32], tmp_path: Path
    ) -> None:
        for file, blob in encoder.files().items():
            (tmp_path / file).write_bytes(blob)
        again = open_encoder(name, tmp_path)
        assert again.version == encoder.version
        np.testing.assert_allclose(again.embed(chips), encoder.embed(chips), atol=1e-6)

    def test_refuses_files_that_are_damaged(self, name: str, encoder: ChipEncoder, tmp_path: Path) -> None:
        for file, blob in encoder.files().items():
            (tmp_path / file).write_bytes(blob[: len(blob) // 2])
        with pytest.raises(EncoderError):
            open_encoder(name, tmp_path)
        with pytest.raises(EncoderError):
            open_encoder(name, tmp_path / "nowhere")


class TestShippedWeights:
    def test_are_those_of_their_card_and_small(self) -> None:
        card = EncoderCard.model_validate_json((SHIPPED_FOLDER / CARD_FILE).read_bytes())
        assert (SHIPPED_FOLDER / WEIGHTS_FILE).stat().st_size <= 2 << 20
        assert open_encoder("textures").version == card.version
        assert "SIMULATED" in card.trained_on
        assert card.held_out.within_image_accuracy > 0.9

    def test_are_refused_beside_the_card_of_others(self, tmp_path: Path) -> None:
        card = (SHIPPED_FOLDER / CARD_FILE).read_text()
        tensors = safetensors.torch.load((SHIPPED_FOLDER / WEIGHTS_FILE).read_bytes())
        (tmp_path / WEIGHTS_FILE).write_bytes(safetensors.torch.save(tensors))
        (tmp_path / CARD_FILE).write_text(card)
        with pytest.raises(EncoderError, match="sha256 differs"):
            open_encoder("textures", tmp_path)

    def test_that_are_not_finite_are_refused(self, tmp_path: Path) -> None:
        blob = (SHIPPED_FOLDER / WEIGHTS_FILE).read_bytes()
        length = int.from_bytes(blob[:8], "little")
        # The last tensor's last number becomes NaN; the header stays as it is.
        (tmp_path / WEIGHTS_FILE).write_bytes(blob[:-2] + b"\xff\xff")
        assert len(blob) > length
        with pytest.raises(EncoderError, match="NaN"):
            open_encoder("textures", tmp_path)


class TestACombination:
    def test_weighs_squared_distances(
        self, opened: dict[str, ChipEncoder], chips: NDArray[np.float32]
    ) -> None:
        parts = (opened["textures"], 1.0), (opened["handmade"], 3.0)
        vectors = CombinedEncoder(parts).embed(chips)
        cosines = [encoder.embed(chips)[0] @ encoder.embed(chips)[1] for encoder, _ in parts]
        assert vectors[0] @ vectors[1] == pytest.approx(0.25 * cosines[0] + 0.75 * cosines[1], abs=1e-5)

    def test_of_nothing_is_refused(self) -> None:
        with pytest.raises(ValueError, match="at least one part"):
            CombinedEncoder([])


@pytest.mark.parametrize("name", ["resnet", "textures+resnet", "torchvision:", ""])
def test_an_unknown_encoder_is_refused_with_those_that_are_known(name: str) -> None:
    with pytest.raises(EncoderError, match="there is no encoder") as caught:
        open_encoder(name)
    assert "handmade" in caught.value.next_step


class TestANetworkOfTheSite:
    @pytest.mark.parametrize("library", ["torchvision", "timm"])
    def test_needs_its_weights_named(self, library: str) -> None:
        with pytest.raises(EncoderError, match="needs a file with its weights"):
            open_encoder(f"{library}:resnet18")

    @pytest.mark.skipif(importlib.util.find_spec("torchvision") is not None, reason="torchvision is here")
    def test_says_what_is_not_installed(self, tmp_path: Path) -> None:
        with pytest.raises(EncoderError, match="torchvision is not installed"):
            open_encoder("torchvision:resnet18", tmp_path / "weights.safetensors")

    @pytest.mark.skipif(importlib.util.find_spec("torchvision") is not None, reason="torchvision is here")
    def test_says_that_a_package_was_built_for_another_torch(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "torchvision.py").write_text(
            "raise RuntimeError('operator torchvision::nms does not exist')"
        )
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(EncoderError, match=r"does not fit the installed torch \(operator"):
            open_encoder("torchvision:resnet18", tmp_path / "weights.safetensors")

    @pytest.mark.parametrize(
        ("name", "dimension"),
        [("torchvision:resnet18", 512), ("torchvision:mobilenet_v3_small", 576), ("timm:resnet18", 512)],
    )
    def test_embeds_chips_from_a_local_checkpoint(
        self, name: str, dimension: int, chips: NDArray[np.float32], tmp_path: Path
    ) -> None:
        library, _, model = name.partition(":")
        package = pytest.importorskip(library, reason=f"{library} is not installed", exc_type=ImportError)
        torch.manual_seed(0)
        if library == "timm":
            network = package.create_model(model, pretrained=False)
        else:
            network = package.models.get_model(model, weights=None)
        path = tmp_path / "weights.safetensors"
        safetensors.torch.save_file(dict(network.state_dict()), path)
        encoder = open_encoder(name, path)
        vectors = encoder.embed(chips)
        assert vectors.shape == (len(chips), dimension)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
        np.testing.assert_allclose(encoder.embed(chips[3:4])[0], vectors[3], atol=1e-5)
        (tmp_path / "bundle").mkdir()
        for file, blob in encoder.files().items():
            (tmp_path / "bundle" / file).write_bytes(blob)
        again = open_encoder(name, tmp_path / "bundle")
        assert again.version == encoder.version
        np.testing.assert_allclose(again.embed(chips), vectors, atol=1e-6)
        with pytest.raises(EncoderError, match="no network of this name"):
            open_encoder(f"{library}:resnet0", path)
        with pytest.raises(EncoderError, match="lacks"):
            open_encoder(f"{library}:resnet50", path)


def test_the_package_is_light_until_an_encoder_is_opened() -> None:
    code = (
        "import sys, eucentric_models.fewshot, eucentric_models.fewshot.textures;"
        "heavy = {'torch', 'skimage', 'PIL', 'torchvision', 'timm'} & set(sys.modules);"
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert finished.returncode == 0, finished.stderr
