"""`ingest` and `archive`: a data set is whole in the catalogue, and a second copy of it elsewhere."""

from __future__ import annotations

import time
from typing import Annotated

from pydantic import Field

from eucentric_core import ConfigurationError, IntegrityError, Settings
from eucentric_data_repository import Catalogue, copy_dataset, open_catalogue, verify_shards
from eucentric_transfer import MoverOptions, open_mover

from .._errors import NotEnoughFramesError
from .._pipeline import Ending, Say
from ._spec import FlowRequest, FlowSpec, Running

__all__ = ["ARCHIVE", "INGEST", "ArchiveRequest", "IngestRequest"]

_POLL_S = 1.0


class IngestRequest(FlowRequest):
    """Wait until a data set is complete in the catalogue, then hash every shard of it again."""

    dataset_id: str
    timeout_s: Annotated[float, Field(gt=0, le=30 * 86_400)] = 3600.0


class ArchiveRequest(FlowRequest):
    """Copy a data set to an archive; a copy counts once its hash was confirmed there."""

    dataset_id: str
    archive: Annotated[str | None, Field(description="Address. Empty: the site's first archive.")] = None


def _subject(_settings: Settings, request: IngestRequest | ArchiveRequest) -> str:
    return f"data set {request.dataset_id}"


def _ingest(running: Running, request: IngestRequest) -> Ending:
    with open_catalogue(running.settings) as catalogue:
        frames = running.run_stage("arrive", lambda say: _wait_complete(catalogue, request, say))
        shards = running.run_stage("verify", lambda say: _verify(catalogue, request.dataset_id, say))
    return Ending("done", f"{request.dataset_id} is complete: {frames} frames, {shards} shards verified")


def _wait_complete(catalogue: Catalogue, request: IngestRequest, say: Say) -> int:
    deadline, seen = time.monotonic() + request.timeout_s, -1
    while True:
        try:
            entry = catalogue.dataset(request.dataset_id).entry
        except ConfigurationError:
            frames, complete = 0, False
        else:
            frames, complete = entry.frames, entry.state == "complete"
        if complete:
            say(f"complete with {frames} frames")
            return frames
        if time.monotonic() > deadline:
            raise NotEnoughFramesError(
                f"{request.dataset_id} was not complete after {request.timeout_s:g} s: {frames} frames.",
                safe="what has arrived is in the catalogue.",
                next_step="see the agent's shipping (`eucentric agent shipping`), then resume the run.",
            )
        if frames != seen:
            seen = frames
            say(f"waiting for the end of the recording: {frames} frames so far")
        time.sleep(_POLL_S)


def _verify(catalogue: Catalogue, dataset_id: str, say: Say) -> int:
    bad = []
    count = 0
    for finding in verify_shards(catalogue, dataset_id=dataset_id):
        count += 1
        say(f"{count} shards hashed")
        if not finding.is_well:
            bad.append(f"{finding.file_name}: {finding.state}")
    if bad:
        raise IntegrityError(
            f"{len(bad)} of {count} shards are not what was registered: {'; '.join(bad[:5])}.",
            safe="nothing was deleted.",
            next_step="`eucentric data verify` says what to do about each.",
        )
    return count


def _archive(running: Running, request: ArchiveRequest) -> Ending:
    settings = running.settings
    address = request.archive or next(iter(settings.repository.archives), None)
    if address is None:
        raise ConfigurationError(
            "This site names no archive.",
            safe="nothing was copied.",
            next_step="name one in the request, or set repository.archives.",
        )
    options = MoverOptions(
        state=settings.home / "repository-archives",
        s3=settings.s3,
        globus=settings.globus.within(settings.home),
    )

    def copy(say: Say) -> int:
        return copy_dataset(
            catalogue,
            request.dataset_id,
            address,
            lambda where: open_mover(where, options=options),
            progress=lambda done, total: say(f"{done} of {total} shards confirmed"),
        )

    with open_catalogue(settings) as catalogue:
        copied = running.run_stage("copy", copy)
    return Ending("done", f"{copied} shards of {request.dataset_id} are confirmed at {address}")


INGEST = FlowSpec(
    name="ingest",
    summary="Wait until a data set is complete in the catalogue, and verify every shard of it.",
    request=IngestRequest,
    carry_out=_ingest,
    subject=_subject,
)
ARCHIVE = FlowSpec(
    name="archive",
    summary="Copy a data set to an archive and have its hashes confirmed there.",
    request=ArchiveRequest,
    carry_out=_archive,
    subject=_subject,
)
