"""What the shipper decides about batches and their answers. Nothing here has an effect."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from eucentric_core import EucentricError, SentDocument, Shard, TransferFailedError
from eucentric_transfer import Outgoing, RemoteFile

from ._ledger import OutboxEntry

__all__ = [
    "INCOMING",
    "chunks",
    "document_name",
    "document_to_send",
    "failure_of",
    "incoming_name",
    "is_whole",
    "next_pause_s",
    "receipt_name",
]

INCOMING = "incoming"
"""The far end's folder for what arrives."""


def incoming_name(name: str) -> str:
    """Where the far end looks for what arrives."""
    return f"{INCOMING}/{name}"


def next_pause_s(pause_s: float, *, moved: bool, poll_s: float, idle_s: float) -> float:
    """How long to wait before the next look: twice as long as before while nothing comes."""
    return poll_s if moved else min(2 * pause_s, idle_s)


def document_name(entry: OutboxEntry) -> str:
    """Name of the document that tells the far end about an entry."""
    return f"{entry.name}.json" if entry.kind == "shard" else entry.name


def document_to_send(entry: OutboxEntry) -> Outgoing:
    """The document of an entry, so that a changed byte of it is noticed at the far end."""
    sent = SentDocument.of(entry.document)
    return Outgoing(sent.model_dump_json().encode(), incoming_name(document_name(entry)))


def receipt_name(entry: OutboxEntry) -> str:
    """Where the far end says that it has taken in an entry."""
    return f"receipts/{document_name(entry)}"


def is_whole(entry: OutboxEntry, answer: RemoteFile | EucentricError) -> bool:
    """Whether the far end holds an entry as it left."""
    return failure_of(entry, answer) is None


def failure_of(entry: OutboxEntry, answer: RemoteFile | EucentricError) -> EucentricError | None:
    """Why an entry does not count as delivered; a mover that says it is, of another file, does not count."""
    if isinstance(answer, EucentricError):
        return answer
    if entry.kind == "shard" and answer.name == incoming_name(entry.name):
        shard = Shard.model_validate_json(entry.document)
        if (answer.sha256, answer.size_bytes) != (shard.sha256, shard.size_bytes):
            return TransferFailedError(
                f"The far end holds {entry.name} with another content than it left with.",
                safe="the local shard is kept; it does not count as delivered.",
                next_step="check the far end; it is tried again.",
                expected_sha256=shard.sha256,
                arrived_sha256=answer.sha256,
            )
    return None


def chunks(
    entries: Sequence[OutboxEntry], has_room: Callable[[Sequence[OutboxEntry]], bool]
) -> Iterator[list[OutboxEntry]]:
    """The entries in their order, in groups that are closed when they have no more room."""
    chosen: list[OutboxEntry] = []
    for entry in entries:
        chosen.append(entry)
        if not has_room(chosen):
            yield chosen
            chosen = []
    if chosen:
        yield chosen
