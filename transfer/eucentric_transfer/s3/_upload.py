"""A large file to an S3 store in parts: what is there of an interrupted upload is not sent again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Executor, wait
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from eucentric_core import TransferFailedError, utc_now

from .._passage import Passage
from ._body import Body
from ._digests import FileDigests, PartDigests
from ._errors import client_error, error_code, whole

__all__ = ["MAX_PAGES", "ListingCutError", "PartsUpload", "abandon_old_uploads", "pages"]

MAX_PAGES = 1000
"""Most pages of one listing: with the usual 1000 entries a page, a million."""
_MAY_NOT_LOOK = ("AccessDenied", "NotImplemented")
_HOPELESS = ("InvalidPart", "InvalidPartOrder", "InvalidRequest", "EntityTooSmall")

_log = logging.getLogger(__name__)


class ListingCutError(TransferFailedError):
    """A listing that has more than was read of it: what is not in it may be there all the same."""


def pages(
    call: Callable[..., Any],
    markers: Sequence[tuple[str, str]],
    *,
    max_pages: int = MAX_PAGES,
    **wanted: Any,
) -> Iterator[Any]:
    """The pages of a listing; `markers` pair what to ask with and where the last page tells it.

    The SDK's own paginator does not end when a store repeats its marker.

    Raises:
        ListingCutError: after the last page that was asked for there are more, or the store says so and
            does not say where they begin.
    """
    seen: set[str] = set()
    for _ in range(max_pages):
        page = whole(call(**wanted), "IsTruncated")
        yield page
        if not page.get("IsTruncated"):
            return
        following = {ask: page[told] for ask, told in markers if page.get(told)}
        if not following or repr(following) in seen:
            break
        seen.add(repr(following))
        wanted |= following
    raise ListingCutError(
        f"The listing of {wanted.get('Prefix') or wanted.get('Key') or wanted.get('Bucket')} has not come "
        "to its end.",
        safe="nothing was concluded from what it does not show.",
        next_step="move away what nobody needs there any more; ask who runs the store if it is not long.",
    )


def _as_far_as_told(listing: Iterator[Any]) -> Iterator[Any]:
    """The pages of a listing that need not be complete: what it misses is sent anew, or given up later."""
    try:
        yield from listing
    except ListingCutError as error:
        _log.warning("%s", error.what)


def _uploads(client: Any, bucket: str, prefix: str) -> list[Any]:
    """Unfinished uploads; none where the key or the store does not let us look."""
    markers = (("KeyMarker", "NextKeyMarker"), ("UploadIdMarker", "NextUploadIdMarker"))
    listing = pages(client.list_multipart_uploads, markers, Bucket=bucket, Prefix=prefix)
    try:
        return [upload for page in _as_far_as_told(listing) for upload in page.get("Uploads", ())]
    except client_error() as error:
        if error_code(error) not in _MAY_NOT_LOOK:
            raise
        _log.warning("unfinished uploads cannot be listed (%s): what is cut begins anew", error_code(error))
        return []


def abandon_old_uploads(client: Any, bucket: str, prefix: str, *, older_than_s: float) -> int:
    """Give up uploads under a prefix that nobody has ended for so long; returns how many."""
    oldest = utc_now() - timedelta(seconds=older_than_s)
    old = [upload for upload in _uploads(client, bucket, prefix) if upload["Initiated"] < oldest]
    for upload in old:
        client.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
        _log.warning("gave up an upload of %s, begun %s", upload["Key"], upload["Initiated"])
    return len(old)


@dataclass(frozen=True)
class PartsUpload:
    """One file on its way in parts.

    Nothing about it is kept on this machine: the store itself knows which parts it has, and the MD5 it
    computed of each says whether that part is still ours.

    Args:
        client: the SDK's.
        bucket: of the store.
        key: the object's.
        source: local file.
        digests: what it must be.
        passage: of the whole file.
        checksums: send SHA-256 with each part for the store to verify and keep.
    """

    client: Any
    bucket: str
    key: str
    source: Path
    digests: FileDigests
    passage: Passage
    checksums: bool

    def run(self, pool: Executor) -> bool:
        """Send what is missing and make the object of it; whether nothing of it was there before."""
        upload_id, there = self._resume() or (self._begin(), {})
        for number in there:
            self.passage.count(self.digests.parts[number - 1].size_bytes)
        missing = [part for part in self.digests.parts if part.number not in there]
        sending = [pool.submit(self._send, upload_id, part) for part in missing]
        if any(future.exception() for future in wait(sending, return_when=FIRST_EXCEPTION).done):
            for future in sending:
                future.cancel()
            # Nothing of a try that has failed is still on its way when the next one begins.
            wait(sending)
        tags = there | {part.number: future.result() for part, future in zip(missing, sending, strict=True)}
        self._complete(upload_id, tags)
        return not there

    def _complete(self, upload_id: str, tags: dict[int, str]) -> None:
        listed = [self._listed(part, tags[part.number]) for part in self.digests.parts]
        where = {"Bucket": self.bucket, "Key": self.key, "UploadId": upload_id}
        try:
            self.client.complete_multipart_upload(**where, MultipartUpload={"Parts": listed})
        except client_error() as error:
            if error_code(error) in _HOPELESS:
                # The next try begins anew instead of failing in the same way.
                self.client.abort_multipart_upload(**where)
            raise

    def _begin(self) -> str:
        more = {"ChecksumAlgorithm": "SHA256"} if self.checksums else {}
        answer = self.client.create_multipart_upload(
            Bucket=self.bucket, Key=self.key, Metadata={"sha256": self.digests.sha256}, **more
        )
        return str(whole(answer, "UploadId")["UploadId"])

    def _resume(self) -> tuple[str, dict[int, str]] | None:
        """The newest unfinished upload of this file, and the tags of the parts it has whole."""
        mine = [u for u in _uploads(self.client, self.bucket, self.key) if u["Key"] == self.key]
        if not mine:
            return None
        upload_id = str(max(mine, key=lambda upload: upload["Initiated"])["UploadId"])
        there: dict[int, str] = {}
        listing = pages(
            self.client.list_parts,
            (("PartNumberMarker", "NextPartNumberMarker"),),
            Bucket=self.bucket,
            Key=self.key,
            UploadId=upload_id,
        )
        for found in (part for page in _as_far_as_told(listing) for part in page.get("Parts", ())):
            number, tag = int(found["PartNumber"]), str(found["ETag"])
            if number <= len(self.digests.parts):
                ours = self.digests.parts[number - 1]
                if (found["Size"], tag.strip('"')) == (ours.size_bytes, ours.md5.hex()):
                    there[number] = tag
        _log.info("going on with %s: %d of %d parts are there", self.key, len(there), len(self.digests.parts))
        return upload_id, there

    def _send(self, upload_id: str, part: PartDigests) -> str:
        more = {"ChecksumSHA256": part.checksum_sha256} if self.checksums else {}
        with Body(self.source, part.offset, part.size_bytes, self.passage) as body:
            answer = self.client.upload_part(
                Bucket=self.bucket,
                Key=self.key,
                UploadId=upload_id,
                PartNumber=part.number,
                Body=body,
                ContentMD5=part.content_md5,
                **more,
            )
        return str(whole(answer, "ETag")["ETag"])

    def _listed(self, part: PartDigests, tag: str) -> dict[str, Any]:
        more = {"ChecksumSHA256": part.checksum_sha256} if self.checksums else {}
        return {"PartNumber": part.number, "ETag": tag, **more}
