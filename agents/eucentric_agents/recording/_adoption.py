"""What a ledger that was made anew does not know: the shards that lie here are asked what they are."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from eucentric_core import DataFormatError, FrameHeader, sha256_file
from eucentric_transfer import ShardReader

from ._folders import Folders, SegmentName
from ._interrupted import describe_shard
from ._ledger import Ledger
from ._rules import missing_between
from ._salvage import Salvage

__all__ = ["adopt"]

_INDEX = re.compile(r".*_(\d+)_[0-9a-f]{12}\.h5")

_log = logging.getLogger(__name__)


class _Found(NamedTuple):
    """A sealed shard that nobody knows."""

    instrument: str
    session: str
    number: int
    path: Path
    headers: tuple[FrameHeader, ...]


def adopt(folders: Folders, ledger: Ledger, segments: Mapping[SegmentName, Salvage]) -> int:
    """Take up the sessions of open shards and of sealed ones, and the sealed shards; how many of these.

    What a sealed shard holds is told by its frames, and its hash is in its name; another file is left alone.
    Acquisitions before the first shard that is here are not listed as missing: shards were freed only after
    the repository had them.

    Args:
        folders: of the journal.
        ledger: may be without facts that it had.
        segments: the open shards, with what their journals say.

    Raises:
        OutOfSpaceError, JournalError, OSError: the disk failed.
    """
    for name, salvage in segments.items():
        if ledger.session(name.session_id) is None and len(salvage.origins) == 1:
            ((instrument, session),) = salvage.origins
            if ledger.entries_of(instrument, session)[0] is None:
                ledger.adopt_session(name.session_id, instrument, session)
    known = ledger.shard_names()
    found = [_read(path) for path in folders.shards.glob("*.h5") if path.name not in known]
    shards = sorted((shard for shard in found if shard is not None), key=lambda shard: shard[:3])
    return sum(_record(shard, ledger) for shard in shards)


def _read(path: Path) -> _Found | None:
    named = _INDEX.fullmatch(path.name)
    if named is None:
        return None
    try:
        with ShardReader(path) as shard:
            headers = tuple(header for stream in shard.streams for header in shard.headers(stream))
    except DataFormatError as error:
        _log.error("%s is not taken up: %s", path.name, error)
        return None
    return _Found(headers[0].instrument, headers[0].session, int(named[1]), path, headers)


def _record(found: _Found, ledger: Ledger) -> bool:
    headers = found.headers
    held: dict[int, set[str]] = {}
    for header in headers:
        held.setdefault(header.sequence, set()).add(header.stream)
    sample = next((header.sample for header in headers if header.sample), None)
    material = next((header.material for header in headers if header.material), None)
    row = ledger.open_session(found.instrument, found.session, sample=sample, material=material)
    shard = describe_shard(
        row,
        found.number,
        held,
        simulated=any(header.simulated for header in headers),
        sha256=sha256_file(found.path),
        size_bytes=found.path.stat().st_size,
    )
    if shard.file_name != found.path.name or found.number < row.next_index or row.state == "closed":
        _log.error("%s is not taken up: it is not what its name says, or not the next one", found.path.name)
        return False
    first = row.next_sequence if found.number == row.next_index else min(held)
    ledger.record_shard(row.id, shard, missing_between(first, max(held), held))
    return True
