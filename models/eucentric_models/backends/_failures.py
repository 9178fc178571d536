"""Why a back end cannot be used, and a runtime's own exceptions as one typed error."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

from ._errors import BackendError, BackendUnavailableError

__all__ = ["closed", "failing_as_backend_error", "missing_packages", "missing_torch", "require_available"]

# What the runtimes raise: torch and OpenVINO RuntimeError (out of memory included), ONNX Runtime its own
# exceptions, which are RuntimeErrors or bare Exceptions of its module, and protobuf and numpy ValueErrors.
_OF_PYTHON = (ArithmeticError, ImportError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)


@contextmanager
def failing_as_backend_error(name: str) -> Iterator[None]:
    """Whatever the runtime raises inside becomes a `BackendError`.

    Raises:
        BackendError: the runtime failed.
    """
    try:
        yield
    except _OF_PYTHON as error:
        raise _failed(name, error) from error
    except Exception as error:
        if not type(error).__module__.startswith(("onnxruntime", "openvino", "torch")):
            raise
        raise _failed(name, error) from error


def missing_packages(*names: str) -> str | None:
    """Which packages are not installed, as a sentence; None if all are."""
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    return f"not installed: {', '.join(missing)}." if missing else None


def missing_torch() -> str | None:
    """That PyTorch is not installed, as a sentence; None if it is."""
    if importlib.util.find_spec("torch") is None:
        return "PyTorch is not installed (extra `edge`)."
    return None


def require_available(name: str, reason: str | None) -> None:
    """Go on only where a back end can be used.

    Raises:
        BackendUnavailableError: there is a reason why not.
    """
    if reason is not None:
        raise BackendUnavailableError(
            f"The back end {name} cannot be used here: {reason}",
            safe="nothing was compiled.",
            next_step="choose another one; `eucentric edge tune` lists those that this machine has.",
        )


def closed(name: str) -> BackendError:
    """The error of a call after `close`."""
    return BackendError(
        f"The ensemble on {name} was closed.",
        safe="nothing was computed.",
        next_step="compile it again.",
    )


def _failed(name: str, error: Exception) -> BackendError:
    return BackendError(
        f"The back end {name} failed ({type(error).__name__}: {str(error)[:500]}).",
        safe="no result was computed.",
        next_step="use the back end `torch`, and report what the other one said.",
    )
