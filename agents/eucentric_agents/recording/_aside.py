"""Setting frames aside that cannot be part of a data set, and remembering which."""

from __future__ import annotations

from typing import Any

from eucentric_core import DataFormatError, Frame

from ._ledger import Ledger
from ._origin import Origin
from ._poison import Poison, PoisonKind
from ._quarantine import Quarantine
from ._recording import Recording
from ._room import Room
from ._steps import reached

__all__ = ["Aside"]


class Aside:
    """Puts frames into the quarantine and notes them in the ledger. For the thread that records."""

    def __init__(self, quarantine: Quarantine, ledger: Ledger, room: Room) -> None:
        self._quarantine = quarantine
        self._ledger = ledger
        self._room = room
        self.last_poison: Poison | None = None

    def set_frame_aside(self, recording: Recording, frame: Frame, poison: Poison) -> None:
        """Set a frame of a session aside, durably.

        Raises:
            OutOfSpaceError, JournalError: it is not; again later.
        """
        header = frame.header
        self.last_poison = poison
        facts = {
            **_reason(poison),
            **header.model_dump(
                mode="json", include={"instrument", "session", "stream", "sequence", "shape", "dtype"}
            ),
        }
        said, content = header.model_dump_json().encode(), frame.array.tobytes()
        file = self._room.again(lambda: self._quarantine.keep_frame(said, content, facts), 2 * len(content))
        self._note(recording, header.stream, header.sequence, poison.kind, file)
        recording.quarantined.add((header.sequence, header.stream))
        reached("quarantine.noted")

    def set_message_aside(
        self,
        recording: Recording | None,
        stream: str,
        header: bytes,
        payload: memoryview,
        error: DataFormatError,
        *,
        origin: Origin,
        kind: PoisonKind,
    ) -> None:
        """Set a message aside that is no frame at all, or was refused, durably.

        Args:
            recording: of the session in which its acquisition is to be listed as missing, if in any.
            stream: of the message.
            header: as it came.
            payload: as it came.
            error: why.
            origin: what it says of itself.
            kind: of reason.

        Raises:
            OutOfSpaceError, JournalError: it is not set aside; again later.
        """
        said = Poison(kind, error.report().what)
        facts = {**_reason(said), **origin.model_dump(), "stream": stream}
        file = self._room.again(lambda: self._quarantine.keep_frame(header, payload, facts), 2 * len(payload))
        if recording is not None and origin.sequence is not None:
            self._note(recording, stream, origin.sequence, said.kind, file)
        reached("quarantine.noted")

    def _note(self, recording: Recording, stream: str, sequence: int, kind: str, file: str) -> None:
        session_id = recording.row.id
        self._room.again(lambda: self._ledger.note_quarantined(session_id, stream, sequence, kind, file))


def _reason(poison: Poison) -> dict[str, Any]:
    report = poison.error().report()
    return {"kind": poison.kind, "what": report.what, "safe": report.safe, "next_step": report.next_step}
