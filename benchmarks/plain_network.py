"""What fixed normalisations cost: `eucentric edge export --plain` of the shipped model.

Normalisations are fixed on frames of the demonstration's first conditions. Then its columns are found in
other frames of these and in frames of its drifted conditions, by the first network itself and by the plain
one. The frames are SIMULATED.
"""

from __future__ import annotations

from collections.abc import Callable

import _harness as harness
import numpy as np
import torch
from numpy.typing import NDArray
from onnxruntime import InferenceSession

from eucentric_models import (
    DEMO_CONDITIONS,
    Decoding,
    ImagingConditions,
    LabelledFrame,
    NetworkSpec,
    Preprocessing,
    decode,
    normalise,
    score_frame,
    simulate_frames,
    total,
)
from eucentric_models.backends import (
    FOLDED_LOGITS,
    EnsembleSource,
    changed_pixels,
    maps_of_folded,
    plain_graph,
)
from eucentric_models.engines import read_description, shipped_folder

_SIDE_PX, _PIXEL_SIZE_M = 192, 18e-12
_VISIBLE_CLASSES = 3
_Maps = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def main() -> None:
    """Fix, find and report."""
    parser = harness.arguments(__doc__ or "")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    count = 4 if given.quick else 16
    rng = np.random.default_rng(given.seed)
    folder = shipped_folder("columns")
    description = read_description(folder)
    preprocessing = Preprocessing.model_validate(description.preprocessing)
    decoding = Decoding.model_validate(description.decoding)
    spec = NetworkSpec.model_validate(description.network)
    source = EnsembleSource(spec, ((folder / description.members[0]).read_bytes(),))

    frames = {
        "calibration": _frames(DEMO_CONDITIONS.initial, count, rng),
        "same": _frames(DEMO_CONDITIONS.initial, count, rng),
        "drifted": _frames(DEMO_CONDITIONS.drifted, count, rng),
    }
    images = {
        name: [normalise(each.frame, preprocessing) for each in group] for name, group in frames.items()
    }
    graph = plain_graph(source, images["calibration"], (_SIDE_PX, _SIDE_PX))
    session = InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    network = source.networks()[0]

    def own(image: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            return torch.sigmoid(network(torch.from_numpy(image)[None, None]))[0].numpy()

    def plain(image: NDArray[np.float32]) -> NDArray[np.float32]:
        return maps_of_folded(session.run([FOLDED_LOGITS], {"images": image[None, None]})[0], spec)

    figures: dict[str, float] = {}
    for name in ("same", "drifted"):
        figures[f"f1_{name}"] = _f1(own, frames[name], images[name], decoding)
        figures[f"f1_{name}_plain"] = _f1(plain, frames[name], images[name], decoding)
        figures[f"changed_pixels_{name}"] = changed_pixels(source, graph, images[name])
    harness.report(
        {"frames": count, **figures}, as_json=given.json, packages=("onnx", "onnxruntime", "torch")
    )


def _frames(conditions: ImagingConditions, count: int, rng: np.random.Generator) -> list[LabelledFrame]:
    said = conditions.model_copy(
        update={"pixel_size_m": _PIXEL_SIZE_M, "beam_current_a": 2e-10, "output": "float32"}
    )
    return list(simulate_frames("mos2", said, count, (_SIDE_PX, _SIDE_PX), rng))


def _f1(
    maps: _Maps, frames: list[LabelledFrame], images: list[NDArray[np.float32]], decoding: Decoding
) -> float:
    scores = []
    for made, image in zip(frames, images, strict=True):
        truth = made.truth.copy()
        truth[:, 2] = np.where(truth[:, 2] < _VISIBLE_CLASSES, 0, 1)
        scores.append(
            score_frame(
                decode(maps(image), decoding),
                truth,
                n_classes=1,
                pixel_size_m=_PIXEL_SIZE_M,
                shape=image.shape,
            )
        )
    return total(scores).f1


if __name__ == "__main__":
    main()
