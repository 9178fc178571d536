"""Few-shot classes of chips: agreement with a labelled image, beside the published tool, and how fast they
come.

The image and the support chips are those that pyCHIP (Doty et al. 2022) was published with; they lie beside
the repository or below EUCENTRIC_SHARED, and what needs them is skipped with a reason where they do not.
"""

from __future__ import annotations

import csv
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _fewshot_simulated import simulated
from _harness import arguments, quantile, report
from numpy.typing import NDArray
from PIL import Image

from eucentric_models.fewshot import (
    DEFAULT_ENCODER,
    ChipEncoder,
    ChipGrid,
    Chips,
    EmbeddingCache,
    FewShotModel,
    GreyScale,
    SupportSet,
    check_support,
    cut_chips,
    distances_to,
    fit_prototypes,
    open_encoder,
    read_support_images,
)
from eucentric_models.fewshot.textures import TextureImaging, textures_of_image

CHIP_PX = 95
SIDE_CHIPS = 32
ENCODERS = ("textures", "handmade", DEFAULT_ENCODER)
_PLACE = re.compile(r"_(\d+)_(\d+)\.png$")


@dataclass(frozen=True)
class Labelled:
    """An image whose chips somebody has labelled.

    Attributes:
        chips: all of them.
        labels: (n,) region of each chip, empty where nobody would say.
        support: index and label of the published support chips.
        published: (n,) what the published tool predicted.
    """

    chips: Chips
    labels: NDArray[np.str_]
    support: list[tuple[int, str]]
    published: NDArray[np.str_]

    @property
    def judged(self) -> NDArray[np.bool_]:
        """(n,) chips that are labelled and no support."""
        judged = self.labels != ""
        judged[[index for index, _ in self.support]] = False
        return judged


def data_folder() -> Path | None:
    """Real images, None where there are none."""
    beside = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("EUCENTRIC_SHARED", beside)) / "data"
    return folder if (folder / "permissive" / "pychip_BSD").is_dir() else None


def read_labelled(folder: Path) -> Labelled:
    """The published image of SrTiO3 on Ge with our map of its regions."""
    place = folder / "permissive" / "pychip_BSD" / "fig2_A"
    with Image.open(place / "STO-Ge-HAADF.jpg") as image:
        frame = np.asarray(image.convert("L"))
    chips = cut_chips(frame, ChipGrid(chip_px=CHIP_PX))
    regions = {
        (int(row["row"]) - 1, int(row["col"]) - 1): row["region"]
        for row in _rows(folder / "ours" / "pychip_fig2A_region_map.csv")
    }
    published = {_place(row[""]): row["prediction"] for row in _rows(place / "test2.csv")}
    places = list(zip(chips.rows.tolist(), chips.columns.tolist(), strict=True))
    support = [
        (chips.at(*_place(name)), label)
        for label, images in read_support_images(place / "support_set").items()
        for name, _ in images
    ]
    return Labelled(
        chips=chips,
        labels=np.array([regions.get(one, "") for one in places]),
        support=support,
        published=np.array([published[one] for one in places]),
    )


def agreement(image: Labelled, encoder: ChipEncoder, vectors: NDArray[np.float32]) -> dict[str, float]:
    """Share of labelled chips that get their label from the published support chips."""
    support = SupportSet.build(encoder, image.chips, _chosen(image))
    model = FewShotModel(support, encoder)
    names = np.array(model.classes)
    answer, alone = model.class_map(image.chips, vectors), model.classify(vectors)
    judged, labels = image.judged, image.labels
    nearest = answer.classification.nearest
    return {
        "default": float((names[answer.class_id] == labels)[judged].mean()),
        "always_answering": float((names[nearest] == labels)[judged].mean()),
        "each_chip_by_itself": float((names[alone.nearest] == labels)[judged].mean()),
        "none_of_these": float((answer.classification.class_id < 0)[judged].mean()),
        "confidence": float(answer.classification.confidence[judged].mean()),
    }


def random_supports(image: Labelled, vectors: NDArray[np.float32], draws: int, shots: int = 5) -> list[float]:
    """Agreement with so many chips of each class drawn at random as support, the nearest class answering."""
    rng = np.random.default_rng(0)
    labelled = np.flatnonzero(image.labels != "")
    classes, ids = np.unique(image.labels[labelled], return_inverse=True)
    scores = []
    for _ in range(draws):
        drawn = np.concatenate(
            [rng.choice(np.flatnonzero(ids == index), shots, replace=False) for index in range(len(classes))]
        )
        metric, prototypes = fit_prototypes(vectors[labelled[drawn]], ids[drawn])
        rest = np.setdiff1d(np.arange(len(labelled)), drawn)
        nearest = distances_to(metric, prototypes, vectors[labelled[rest]]).argmin(axis=1)
        scores.append(float((nearest == ids[rest]).mean()))
    return scores


def unseen_rejected(image: Labelled, encoder: ChipEncoder, vectors: NDArray[np.float32]) -> float:
    """Share of the chips of a class that are none of these when it has no support, over all classes in
    turn.
    """
    shares = []
    chosen = _chosen(image)
    for left_out in chosen:
        rest = {label: places for label, places in chosen.items() if label != left_out}
        model = FewShotModel(SupportSet.build(encoder, image.chips, rest), encoder)
        answer = model.classify_frame(image.chips, vectors)
        shares.append(float((answer.class_id < 0)[image.labels == left_out].mean()))
    return float(np.mean(shares))


def recognised_support(folder: Path, encoder: ChipEncoder) -> str:
    """Support chips of the other published image that are recognised when left out."""
    place = folder / "permissive" / "pychip_BSD" / "fig2_b"
    with Image.open(place / "LaO.png") as image:
        scale = GreyScale.of(np.asarray(image.convert("L"), np.float32))
    chips = read_support_images(place / "support_set")
    checked = check_support(SupportSet.of_images(encoder, chips, grey_scale=scale))
    return f"{checked.recognised} of {checked.chips}"


def simulated_frame() -> NDArray[np.float32]:
    """Four textures in a frame of 32 x 32 chips. SIMULATED."""
    rng = np.random.default_rng(4)
    side = SIDE_CHIPS * CHIP_PX
    half = side // 2
    quarters = [one.draw((half, half), rng) for one in textures_of_image(4, rng)]
    signal = np.block([quarters[:2], quarters[2:]])
    return TextureImaging(100, 0.5, 0, 0, 0, 0, 0, 0, inverted=False).expose(signal, rng)


def timings(encoder: ChipEncoder, repeats: int) -> dict[str, float]:
    """Seconds for a new frame, and for a new support set on a frame that is known."""
    frame = simulated_frame()
    chips = cut_chips(frame, ChipGrid(chip_px=CHIP_PX))
    encoder.embed(chips.pixels[:128])
    new_frame_s = _median_s(
        lambda: encoder.embed(cut_chips(frame, ChipGrid(chip_px=CHIP_PX)).pixels), repeats
    )
    cache = EmbeddingCache()
    vectors = cache.embedded(encoder, chips)
    rng = np.random.default_rng(1)

    def new_support_set() -> None:
        half = SIDE_CHIPS // 2
        chosen = {
            f"{down}{across}": [
                (int(row) + down * half, int(column) + across * half)
                for row, column in zip(rng.permutation(half)[:5], rng.permutation(half)[:5], strict=True)
            ]
            for down in (0, 1)
            for across in (0, 1)
        }
        support = SupportSet.build(encoder, chips, chosen)
        FewShotModel(support, encoder).class_map(chips, cache.embedded(encoder, chips))

    new_support_set()
    return {
        "chips_per_s": len(vectors) / new_frame_s,
        "new_support_set_s": _median_s(new_support_set, 2 * repeats),
    }


def main() -> None:
    """Measure and report."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--full", action="store_true", help="100 simulated images of each kind: half an hour")
    options = parser.parse_args()
    surveys = 100 if options.full else 2 if options.quick else 8
    encoder = open_encoder()
    figures: dict[str, Any] = {
        "agreement_fig2a": None,
        **{name: round(value, 4) for name, value in timings(encoder, 2 if options.quick else 5).items()},
        "simulated": simulated(encoder, surveys),
        "simulated_images_of_each_kind": surveys,
        "chips": SIDE_CHIPS**2,
        "encoder": encoder.version,
    }
    folder = data_folder()
    if folder is None:
        figures["skipped"] = (
            "the published images are not here (EUCENTRIC_SHARED names the folder above data/)"
        )
    else:
        figures |= accuracy(folder, 40 if options.quick else 200)
    report(figures, as_json=options.json, packages=("torch", "scikit-image", "scipy"))


def accuracy(folder: Path, draws: int) -> dict[str, Any]:
    """Everything that needs the published images."""
    image = read_labelled(folder)
    by_encoder: dict[str, dict[str, float | str]] = {}
    for name in ENCODERS:
        encoder = open_encoder(name)
        vectors = encoder.embed(image.chips.pixels)
        found = agreement(image, encoder, vectors)
        scores = random_supports(image, vectors, draws)
        by_encoder[name] = {
            **{key: round(value, 4) for key, value in found.items()},
            "random_5_shot_mean": round(float(np.mean(scores)), 4),
            "random_5_shot_p5": round(quantile(scores, 0.05), 4),
            "unseen_class_rejected": round(unseen_rejected(image, encoder, vectors), 4),
            "fig2b_support_recognised": recognised_support(folder, encoder),
        }
    default = by_encoder[DEFAULT_ENCODER]
    judged = image.judged
    return {
        "agreement_fig2a": default["default"],
        "agreement_fig2a_always_answering": default["always_answering"],
        "agreement_fig2a_published_tool": round(float((image.published == image.labels)[judged].mean()), 4),
        "chips_judged": int(judged.sum()),
        "random_5_shot_draws": draws,
        "by_encoder": by_encoder,
    }


def _chosen(image: Labelled) -> dict[str, list[tuple[int, int]]]:
    chosen: dict[str, list[tuple[int, int]]] = {}
    for index, label in image.support:
        chosen.setdefault(label, []).append((int(image.chips.rows[index]), int(image.chips.columns[index])))
    return chosen


def _place(name: str) -> tuple[int, int]:
    found = _PLACE.search(name)
    if found is None:
        raise SystemExit(f"{name} does not say where the chip is from")
    return int(found[1]) - 1, int(found[2]) - 1


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def _median_s(work: Callable[[], object], repeats: int) -> float:
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return float(np.median(taken))


if __name__ == "__main__":
    main()
