"""Why a vendor's file could not be used."""

from __future__ import annotations

from eucentric_core import DataFormatError

__all__ = ["VendorReaderError", "refuse_file"]


class VendorReaderError(DataFormatError):
    """The reader of a format crashed, took too long or wanted too much memory."""

    code = "vendor_reader"


def refuse_file(name: str, problem: str, next_step: str = "choose another file.") -> DataFormatError:
    """The error for a file that cannot be used."""
    return DataFormatError(f"{name}: {problem}.", safe="nothing of the file was used.", next_step=next_step)
