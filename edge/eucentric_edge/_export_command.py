"""`eucentric edge export`: the network of a model as one ONNX file, for runtimes of other people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from eucentric_core import Settings, write_atomic

from ._errors import ExportError
from ._tune_command import opened_model

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from eucentric_models.backends import EnsembleSource
    from eucentric_models.engines import ModelDescription

__all__ = ["export_here"]

_MAX_FRAMES = 64
_HELD_OUT_OF = 4


def export_here(
    settings: Settings,
    *,
    model: str | None,
    output: Path,
    int8: bool,
    frames: Path | None,
    members: int | None = None,
    plain: bool = False,
    size: int | None = None,
) -> str:
    """Write the network of a model.

    Args:
        settings: of this machine.
        model: as `eucentric edge tune` takes it.
        output: `.onnx`; must not exist.
        int8: quantise it, calibrated on the frames.
        frames: folder of `.npy` frames like those to come, at the pixel size of the network; None: the golden
            chips of the model, which are few.
        members: how many of its networks, the first ones; None: all.
        plain: its first network, of nothing but what compilers of small devices know; see `plain_graph`.
        size: of the images of a plain one, in px; None: as large as the smallest frame.

    Returns:
        What was written, as a sentence.

    Raises:
        ExportError: the engine has no such network, there are no frames, or the file exists.
        ModelsError: the model cannot be used.
        ImportError: the extra `onnx` is not installed.
    """
    from eucentric_models import NetworkSpec, Preprocessing, normalise
    from eucentric_models.backends import EnsembleSource, onnx_graph, quantised_graph

    if plain and (int8 or (members or 1) > 1):
        raise _refused("a plain network is one network in float32", "leave out --int8 and --members.")
    if size is not None and not plain:
        raise _refused("other networks take images of any size", "leave out --size, or add --plain.")

    if output.exists():
        raise _refused(f"{output} exists already", "name another file.")
    folder, description, _ = opened_model(settings, model)
    if description.engine != "atoms":
        raise _refused(
            f"models of the engine {description.engine!r} are not one network",
            "export a model of the engine `atoms`.",
        )
    spec = NetworkSpec.model_validate(description.network)
    wanted = len(description.members) if members is None else members
    if wanted > len(description.members):
        raise _refused(
            f"{wanted} of {len(description.members)} networks cannot be had", "ask for fewer --members."
        )
    names = description.members[: 1 if plain else wanted]
    source = EnsembleSource(spec, tuple((folder / name).read_bytes() for name in names))
    images: list[NDArray[np.float32]] = []
    if int8 or plain:
        preprocessing = Preprocessing.model_validate(description.preprocessing)
        images = [normalise(each, preprocessing) for each in _frames(folder, description, frames)]
    if plain:
        content, said = _plain(source, images, size)
    else:
        graph = quantised_graph(source, images) if int8 else onnx_graph(source)
        content = graph.SerializeToString()
        how = f"INT8, calibrated on {len(images)} frames" if int8 else "float32"
        networks = "1 network" if len(source) == 1 else f"{len(source)} networks"
        said = (
            f"{networks} in one graph, {how}, {len(content) / 1e6:.2f} MB. Input `images` (n, 1, ny, nx) "
            f"float32, normalised, sides multiples of {spec.size_multiple}; output `maps`."
        )
    output.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(output, content)
    return f"{output}: {said}"


def _plain(source: EnsembleSource, images: list[NDArray[np.float32]], size: int | None) -> tuple[bytes, str]:
    from eucentric_models.backends import FOLDED_LOGITS, changed_pixels, plain_graph

    multiple = source.spec.size_multiple
    largest = tuple(min(image.shape[axis] for image in images) // multiple * multiple for axis in (0, 1))
    ny, nx = largest if size is None else (size, size)
    if size is not None and (size % multiple or not multiple <= size <= min(largest)):
        raise _refused(
            f"images of {size} px do not fit",
            f"choose a multiple of {multiple} up to {min(largest)}, or give larger frames.",
        )
    # What the normalisations were fixed on says little about frames to come.
    held_out = images[_HELD_OUT_OF - 1 :: _HELD_OUT_OF]
    fixed_on = [image for number, image in enumerate(images, 1) if number % _HELD_OUT_OF]
    graph = plain_graph(source, fixed_on, (ny, nx))
    changed = changed_pixels(source, graph, [image[:ny, :nx] for image in held_out or fixed_on])
    judged_by = f"{len(held_out)} other(s)" if held_out else "the same, for want of others,"
    content = graph.SerializeToString()
    return content, (
        f"1 plain network, float32, {len(content) / 1e6:.2f} MB, its normalisations fixed on {len(fixed_on)} "
        f"frames; of {judged_by} {100 * changed:.2g} % of the pixels change sides. Input `images` "
        f"(1, 1, {ny}, {nx}) float32, normalised; output `{FOLDED_LOGITS}`."
    )


def _frames(folder: Path, description: ModelDescription, given: Path | None) -> list[NDArray[np.number]]:
    from eucentric_models.engines import read_plain_array

    paths = (
        [folder / chip.frame for chip in description.golden] if given is None else sorted(given.glob("*.npy"))
    )
    if not 1 <= len(paths) <= _MAX_FRAMES:
        raise _refused(
            f"{len(paths)} frames to calibrate on are not 1 to {_MAX_FRAMES}",
            "put .npy frames like those to come into a folder and name it with --frames.",
        )
    return [read_plain_array(path) for path in paths]


def _refused(reason: str, next_step: str) -> ExportError:
    return ExportError(f"Nothing was exported: {reason}.", safe="no file was written.", next_step=next_step)
