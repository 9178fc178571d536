"""Models that were made elsewhere: a graph of pixel-wise classes becomes a version like any other."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eucentric_core import GoldenChip, Lineage, Settings, code_version, sha256_file, write_atomic
from eucentric_models import Decoding, DriftReference, mean_entropy
from eucentric_models.engines import BundleDraft, ModelDescription, engine_named, read_plain_array
from eucentric_models.engines._segmentation import SegmentationModel, SegmentationParameters, graph_features

from ._bundle_writer import refuse_bundle
from ._draft_bundle import BundleIdentity, build_and_sign_draft
from ._keys import load_signer
from ._registered import RegisteredVersion
from ._registry import Registry

__all__ = ["ExternalGraph", "import_graph"]

_GOLDEN = 2
_MIN_FRAMES = 10
_MAX_FRAMES = 200
_GOLDEN_MAX_ABS_ERROR = 0.02


@dataclass(frozen=True, slots=True)
class ExternalGraph:
    """A graph and what has to be known to use it.

    Attributes:
        path: `.onnx`.
        classes: names of its classes, in order, without the background.
        frames: folder of `.npy` frames that are usual for it, at least 10: they become its drift reference,
            and two of them its golden chips.
        parameters: how its output is read.
        decoding: how maps become points.
        material: what it was trained for.
    """

    path: Path
    classes: tuple[str, ...]
    frames: Path
    parameters: SegmentationParameters
    decoding: Decoding
    material: str


def import_graph(
    settings: Settings, registry: Registry, name: str, graph: ExternalGraph, *, reason: str, who: str
) -> RegisteredVersion:
    """Build, test, sign and register a graph, and nominate it. The same graph twice gives one version.

    Raises:
        RegistryError: there are too few frames.
        EngineError: the graph cannot be used, or the extra `onnx` is not installed.
        RegistryUnavailableError: MLflow does not answer.
    """
    trigger_id = f"import-{sha256_file(graph.path)[:16]}"
    registered = registry.find_by_trigger(name, trigger_id)
    if registered is None:
        aside = settings.home / "imports" / trigger_id
        shutil.rmtree(aside, ignore_errors=True)
        try:
            aside.mkdir(parents=True)
            draft = _draft(graph, _frames(graph.frames), aside)
            lineage = Lineage(
                datasets=(),
                code_version=code_version(),
                trigger_id=trigger_id,
                policy=None,
                run_id=trigger_id,
                trained_from=f"{graph.path.name}, {reason or 'made elsewhere'} ({who})",
            )
            identity = BundleIdentity(name, registry.next_version(name), graph.material, lineage)
            bundle = aside / "bundle"
            build_and_sign_draft(bundle, draft, identity, load_signer(settings.signing_key_path))
            registered = registry.register(name, bundle)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return registered if "champion" in registered.aliases else registry.nominate(name, registered.version)


def _draft(graph: ExternalGraph, frames: Sequence[NDArray[np.number]], aside: Path) -> BundleDraft:
    member = "network.onnx"
    write_atomic(aside / member, graph.path.read_bytes())
    parameters, decoding = graph.parameters.model_dump(mode="json"), graph.decoding.model_dump(mode="json")
    bare = ModelDescription(
        name="external",
        version=1,
        engine="segmentation",
        classes=graph.classes,
        parameters=parameters,
        decoding=decoding,
        members=(member,),
    )
    model = engine_named("segmentation").open(aside, bare)
    if not isinstance(model, SegmentationModel):
        raise refuse_bundle("Another package has taken the name 'segmentation'.", "uninstall it.")
    answers = [model.answer(frame) for frame in frames]
    reference = DriftReference.fit(
        [graph_features(frame, maps) for frame, maps in zip(frames, answers, strict=True)],
        [mean_entropy(maps[np.newaxis], graph.decoding) for maps in answers],
    )
    write_atomic(aside / "drift-reference.json", reference.to_json().encode())
    files, golden = {member: aside / member, "drift-reference.json": aside / "drift-reference.json"}, []
    for index in range(_GOLDEN):
        chip = GoldenChip(
            frame=f"golden-{index}-frame.npy",
            expected=f"golden-{index}-expected.npy",
            max_abs_error=_GOLDEN_MAX_ABS_ERROR,
        )
        for file, array in ((chip.frame, frames[index]), (chip.expected, answers[index])):
            np.save(aside / file, array, allow_pickle=False)
            files[file] = aside / file
        golden.append(chip)
    return BundleDraft(
        engine="segmentation",
        classes=graph.classes,
        parameters=parameters,
        decoding=decoding,
        files=files,
        members=(member,),
        drift_reference="drift-reference.json",
        golden=tuple(golden),
        metrics={},
        report=(
            f"converted from {graph.path.name}, sha256 {hashlib.sha256(graph.path.read_bytes()).hexdigest()}",
        ),
    )


def _frames(folder: Path) -> list[NDArray[np.number]]:
    paths = sorted(folder.glob("*.npy"))[:_MAX_FRAMES]
    if len(paths) < _MIN_FRAMES:
        raise refuse_bundle(
            f"{folder} holds {len(paths)} frames (.npy); at least {_MIN_FRAMES} are needed.",
            "save frames as the model will see them with numpy.save, one file each.",
        )
    return [read_plain_array(path) for path in paths]
