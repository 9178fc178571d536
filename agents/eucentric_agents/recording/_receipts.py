"""Whether what the repository says of a shard lets the local one go. Nothing here has an effect."""

from __future__ import annotations

from pydantic import ValidationError

from eucentric_core import Receipt, Shard, TransferFailedError

__all__ = ["checked_receipt"]


def checked_receipt(name: str, document: str, content: bytes) -> Receipt:
    """The receipt, if it is one for exactly this shard.

    Args:
        name: the shard's.
        document: the shard's own, as JSON.
        content: what lies at the far end under the receipt's name.

    Raises:
        TransferFailedError: it is no receipt, or one for another content.
    """
    shard = Shard.model_validate_json(document)
    try:
        receipt = Receipt.model_validate_json(content)
    except ValidationError as error:
        raise TransferFailedError(
            f"The receipt of {name} cannot be read.",
            safe="the local shard is kept.",
            next_step="check the repository's version.",
        ) from error
    if (receipt.sha256, receipt.size_bytes) != (shard.sha256, shard.size_bytes):
        raise TransferFailedError(
            f"The repository's receipt of {name} is for another content.",
            safe="the local shard is kept.",
            next_step="check the repository: `eucentric data verify`.",
            expected_sha256=shard.sha256,
            receipt_sha256=receipt.sha256,
        )
    return receipt
