"""Weights to and from safetensors, checked against the network they are for."""

from __future__ import annotations

import json
from functools import lru_cache

import safetensors.torch
import torch
from safetensors import SafetensorError

from ..errors import WeightsError
from ..network_spec import NetworkSpec
from ._unet import UNet


def weights_to_bytes(network: UNet, *, half: bool = False) -> bytes:
    """Weights as one safetensors blob; the architecture is written to its metadata.

    Args:
        network: whose weights.
        half: store float16, half as large and exact to 5e-4 of each value.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    if half:
        tensors = {name: tensor.half() for name, tensor in tensors.items()}
    return safetensors.torch.save(tensors, metadata={"network_spec": network.spec.model_dump_json()})


def load_weights(spec: NetworkSpec, blob: bytes) -> UNet:
    """A network with the given weights, in evaluation mode and channels-last layout; see `checked_tensors`.

    Raises:
        WeightsError: the blob is unreadable or does not fit.
    """
    tensors = checked_tensors(spec, blob)
    with torch.device("meta"):
        network = UNet(spec)
    network.load_state_dict(tensors, assign=True)
    return network.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]


def checked_tensors(spec: NetworkSpec, blob: bytes) -> dict[str, torch.Tensor]:
    """The weights by name, float32, in memory of the caller's own.

    Names and shapes must be exactly those of the architecture, dtypes too or float16 throughout, and every
    value must be finite.  Nothing is unpickled.

    Args:
        spec: architecture.
        blob: content of a safetensors file.

    Raises:
        WeightsError: the blob is unreadable or does not fit.
    """
    _refuse_doubled_names(blob)
    try:
        tensors = safetensors.torch.load(blob)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise _refused(f"the blob is not readable as safetensors ({error})") from error
    expected = _expected(spec)
    unfit = sorted({*expected} ^ {*tensors})
    if unfit:
        raise _refused(f"missing or unknown tensors: {', '.join(unfit[:5])}")
    if all(tensor.dtype == torch.float16 for tensor in tensors.values()):
        tensors = {name: tensor.float() for name, tensor in tensors.items()}
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape or tensor.dtype != expected[name].dtype:
            raise _refused(
                f"{name} is {tensor.dtype} {tuple(tensor.shape)}, "
                f"not {expected[name].dtype} {tuple(expected[name].shape)}"
            )
        if not torch.isfinite(tensor).all():
            raise _refused(f"{name} holds NaN or infinity")
    return tensors


@lru_cache(maxsize=16)
def _expected(spec: NetworkSpec) -> dict[str, torch.Tensor]:
    """Names, shapes and dtypes of an architecture, as tensors without memory."""
    with torch.device("meta"):
        return dict(UNet(spec).state_dict())


def _refuse_doubled_names(blob: bytes) -> None:
    """Of two tensors of one name a reader takes one, and it need not be the one that another reader takes."""

    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        if len({name for name, _ in pairs}) != len(pairs):
            raise _refused("a name comes twice in its header")
        return dict(pairs)

    length = int.from_bytes(blob[:8], "little")
    if length > len(blob):
        raise _refused("the blob is not readable as safetensors (its header is longer than the blob)")
    try:
        json.loads(blob[8 : 8 + length], object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise _refused(f"the blob is not readable as safetensors ({error})") from error


def _refused(reason: str) -> WeightsError:
    return WeightsError(
        f"The weights cannot be used: {reason}.",
        safe="no network was built and nothing in use was changed.",
        next_step="check that weights and network specification come from the same model version.",
    )
