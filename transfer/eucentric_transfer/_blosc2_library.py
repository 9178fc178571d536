"""Blosc2's compressor by its C interface: from an array into memory that is there already, with no lock held.

The package's function makes a context for each array, clears as much new memory as the array has, and copies
the result out of it, all but the compression itself while every other Python thread waits. The wheel brings
the library with its headers (`blosc2/lib`, `blosc2/include`). It is used only if it makes of a sample what
the package makes; where there is none, or another one, the package's function does.
"""

from __future__ import annotations

import ctypes
import logging
import sys
import threading
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import blosc2
import numpy as np
import numpy.typing as npt

__all__ = ["LEVEL", "Blosc2Compressor", "compress_by_package", "thread_compressor"]

LEVEL = 5
_LIBRARY = "libblosc2.so.9"
"""The number is that of its binary interface."""
_N_FILTERS = 6
_MOST_CONTEXTS = 8
_MOST_BYTES = (1 << 31) - 64

_log = logging.getLogger(__name__)


class _Parameters(ctypes.Structure):
    """The beginning of `blosc2_cparams`, with more room behind it than its other members take."""

    _fields_ = (
        ("compcode", ctypes.c_uint8),
        ("compcode_meta", ctypes.c_uint8),
        ("clevel", ctypes.c_uint8),
        ("use_dict", ctypes.c_int),
        ("typesize", ctypes.c_int32),
        ("nthreads", ctypes.c_int16),
        ("blocksize", ctypes.c_int32),
        ("splitmode", ctypes.c_int32),
        ("schunk", ctypes.c_void_p),
        ("filters", ctypes.c_uint8 * _N_FILTERS),
        ("filters_meta", ctypes.c_uint8 * _N_FILTERS),
        ("others", ctypes.c_uint8 * 512),
    )


def compress_by_package(array: npt.NDArray[Any]) -> bytes:
    """A Blosc2 chunk (bit shuffle, LZ4) of a contiguous array."""
    return bytes(
        blosc2.compress2(
            array,
            codec=blosc2.Codec.LZ4,
            clevel=LEVEL,
            filters=[blosc2.Filter.BITSHUFFLE],
            filters_meta=[0],
            typesize=array.itemsize,
            nthreads=1,
        )
    )


class Blosc2Compressor:
    """A context of the library, for one thread, one size of element and one size of array."""

    def __init__(self, library: ctypes.CDLL, itemsize: int) -> None:
        self._library = library
        parameters = library.blosc2_get_blosc2_cparams_defaults()
        parameters.compcode = int(blosc2.Codec.LZ4.value)
        parameters.clevel = LEVEL
        parameters.typesize = itemsize
        parameters.nthreads = 1
        parameters.filters[:] = [int(blosc2.Filter.BITSHUFFLE.value), *([0] * (_N_FILTERS - 1))]
        self._context = library.blosc2_create_cctx(parameters)
        if not self._context:
            raise MemoryError("Blosc2 has no memory for a context")

    def compress(self, array: npt.NDArray[Any], target: npt.NDArray[np.uint8]) -> int:
        """Compress a contiguous array; the length of the chunk (bytes), 0 if `target` has no room for it.

        Raises:
            RuntimeError: Blosc2 failed.
        """
        if array.nbytes > _MOST_BYTES:
            return 0
        n_bytes = int(
            self._library.blosc2_compress_ctx(
                self._context, array.ctypes.data, array.nbytes, target.ctypes.data, target.nbytes
            )
        )
        if n_bytes < 0:
            raise RuntimeError(f"Blosc2 could not compress an array: error {n_bytes}")
        return n_bytes

    def __del__(self) -> None:
        if getattr(self, "_context", None):
            self._library.blosc2_free_ctx(self._context)


class _OfThisThread(threading.local):
    def __init__(self) -> None:
        self.compressor = lru_cache(maxsize=_MOST_CONTEXTS)(_compressor)


def _compressor(itemsize: int, nbytes: int) -> Blosc2Compressor | None:
    # A context keeps the block size that suits the first array it is given: one for each size of array.
    library = _library()
    return None if library is None else Blosc2Compressor(library, itemsize)


_of_this_thread = _OfThisThread()


def thread_compressor(itemsize: int, nbytes: int) -> Blosc2Compressor | None:
    """This thread's compressor of arrays of so many bytes, of elements of so many.

    None where there is no library to trust. The last eight of a thread are kept.
    """
    return _of_this_thread.compressor(itemsize, nbytes)


@cache
def _library() -> ctypes.CDLL | None:
    if sys.platform != "linux":
        return None
    path = Path(blosc2.__file__).parent / "lib" / _LIBRARY
    try:
        library = ctypes.CDLL(str(path))
        library.blosc2_init()
        library.blosc2_get_blosc2_cparams_defaults.restype = _Parameters
        library.blosc2_create_cctx.argtypes = [_Parameters]
        library.blosc2_create_cctx.restype = ctypes.c_void_p
        library.blosc2_free_ctx.argtypes = [ctypes.c_void_p]
        library.blosc2_compress_ctx.argtypes = [
            ctypes.c_void_p,
            ctypes.c_void_p,
            ctypes.c_int32,
            ctypes.c_void_p,
            ctypes.c_int32,
        ]
    except (OSError, AttributeError) as error:
        _log.debug("frames are compressed by the package's own function: %s", error)
        return None
    sample = np.arange(1 << 14, dtype=np.uint16) % 251
    target = np.empty(sample.nbytes, np.uint8)
    n_bytes = Blosc2Compressor(library, sample.itemsize).compress(sample, target)
    if target[:n_bytes].tobytes() == compress_by_package(sample):
        return library
    _log.warning("%s is not the library of the package; the package's own function compresses", path)
    return None
