"""Whether what the repository says of a delivery settles it. Nothing here has an effect."""

from __future__ import annotations

from hashlib import sha256

from pydantic import ValidationError

from eucentric_core import Receipt, Shard, TransferFailedError

from ._ledger import OutboxEntry

__all__ = ["checked_receipt"]


def checked_receipt(entry: OutboxEntry, content: bytes) -> Receipt:
    """The receipt, if it is one for exactly this shard or manifest.

    Args:
        entry: what was delivered.
        content: what lies at the far end under the receipt's name.

    Raises:
        TransferFailedError: it is no receipt, or one for another content.
    """
    name = entry.name
    if entry.kind == "shard":
        shard = Shard.model_validate_json(entry.document)
        expected = (shard.sha256, shard.size_bytes)
    else:
        document = entry.document.encode()
        expected = (sha256(document).hexdigest(), len(document))
    try:
        receipt = Receipt.model_validate_json(content)
    except ValidationError as error:
        raise TransferFailedError(
            f"The receipt of {name} cannot be read.",
            safe="what is here is kept.",
            next_step="check the repository's version.",
        ) from error
    if (receipt.sha256, receipt.size_bytes) != expected:
        raise TransferFailedError(
            f"The repository's receipt of {name} is for another content.",
            safe="what is here is kept.",
            next_step="check the repository: `eucentric data verify`.",
            expected_sha256=expected[0],
            receipt_sha256=receipt.sha256,
        )
    return receipt
