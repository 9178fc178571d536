"""Opening models in processes of their own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

from eucentric_core import BundleError, BundleManifest, ConfigurationError

from .._backend_choice import BackendChoice
from .._errors import ModelLostError
from .._serving_model import ServingModel
from ._apart_model import apart_model
from ._messages import OpenRequest
from ._model_process import FRAME_PATIENCE_S, ModelProcess
from ._nursery_process import DEVICES

__all__ = ["Nursery"]

_END_S = 10.0
_READY_S = 300.0
_ENVIRONMENT = {
    # NumPy makes threads for matrix products when it is imported; none may be there at a fork.
    "OPENBLAS_NUM_THREADS": "1",
    # Asked the usual way, PyTorch would open the GPU, which no fork survives.
    "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
    # The thread that answers frames finds the memory that the one that warmed up has touched before.
    "MALLOC_ARENA_MAX": "1",
}


class Nursery:
    """Opens each model in a process of its own; see `ModelOpener` and decision 0044.

    The processes are forked from one that has imported PyTorch and the runtimes, which takes hundredths of a
    second and not seconds. It is started here, in the background, and anew when it was killed.

    Args:
        choice: which back end serves.
        patience_s: a model that takes longer for a frame of a shape that it answered before is killed.
    """

    def __init__(self, choice: BackendChoice, *, patience_s: float = FRAME_PATIENCE_S) -> None:
        self._choice = choice
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._start()

    @property
    def process_id(self) -> int:
        """Of the process that models are forked from."""
        return self._process.pid

    def device(self) -> str:
        """Where this machine computes, `cpu` or `cuda`; waits until all is imported.

        Raises:
            ConfigurationError: it could not be imported.
        """
        with self._lock:
            return self._device()

    def open(
        self,
        folder: Path,
        manifest: BundleManifest,
        *,
        frame_shape: tuple[int, ...] | None = None,
        pixel_size_m: float | None = None,
    ) -> ServingModel:
        """See `ModelOpener`."""
        choice = self._choice
        request = OpenRequest(
            folder=folder.absolute(),
            manifest=manifest,
            frame_shape=frame_shape,
            pixel_size_m=pixel_size_m,
            backend=choice.name,
            threads=choice.threads,
            batch=choice.batch,
            records=None if choice.records is None else choice.records.absolute(),
        )
        process = self._born()
        try:
            opened = process.ask_aside(request)
        except ModelLostError as error:
            raise BundleError(
                f"The process that tried the model ended: {error.what}",
                safe="the model in service keeps serving.",
                next_step="see whether this machine has the memory for a second model.",
            ) from error
        model = apart_model(process, opened)
        return ServingModel(manifest, model, takes=opened.takes, backend=opened.backend)

    def close(self) -> None:
        """End the nursery and the processes of all its models."""
        with self._lock:
            self._end()

    def _born(self) -> ModelProcess:
        with self._lock:
            self._device()
            try:
                return ModelProcess.born_by(self._control, patience_s=self._patience_s)
            except OSError:
                self._end()
                self._start()
                self._device()
                return ModelProcess.born_by(self._control, patience_s=self._patience_s)

    def _start(self) -> None:
        self._control, its_control = socket.socketpair()
        self._control.settimeout(_READY_S)
        with its_control:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "eucentric_edge.apart", str(its_control.fileno())],
                pass_fds=[its_control.fileno()],
                stdin=subprocess.DEVNULL,
                env={**os.environ, **_ENVIRONMENT, "OMP_NUM_THREADS": str(self._choice.threads)},
            )
        self._known_device: str | None = None

    def _device(self) -> str:
        if self._known_device is None:
            try:
                said = self._control.recv(1)
            except OSError:
                said = b""
            if said not in DEVICES:
                raise ConfigurationError(
                    f"What models are started from ended, or was not ready within {_READY_S:g} s.",
                    safe="no model was opened.",
                    next_step="see what it printed: is the extra `edge` installed whole?",
                )
            self._known_device = DEVICES[said]
        return self._known_device

    def _end(self) -> None:
        self._control.close()
        if self._known_device is None:
            # Still importing: nothing was forked from it yet.
            self._process.kill()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
