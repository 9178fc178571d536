"""The images on which a version was judged, read from the stored page. Pure.

What MLflow holds is not believed: nothing of the page is shown but texts and PNG files, each checked.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from html.parser import HTMLParser

__all__ = ["Evidence", "EvidenceImage", "EvidencePair", "read_evidence"]

_PNG = b"\x89PNG\r\n\x1a\n"
_DATA = "data:image/png;base64,"
_MOST_PAIRS = 24


@dataclass(frozen=True, slots=True)
class EvidenceImage:
    """One picture, PNG, and what it says."""

    png: bytes
    says: str


@dataclass(frozen=True, slots=True)
class EvidencePair:
    """The same image as the champion of that day and the version see it."""

    title: str
    images: tuple[EvidenceImage, ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a version was judged by.

    Attributes:
        title: who against whom.
        verdict: the decision, one sentence.
        pairs: at most 24.
    """

    title: str
    verdict: str
    pairs: tuple[EvidencePair, ...]


def read_evidence(page: bytes) -> Evidence:
    """Texts and pictures of a page that `eucentric_model_registry.comparison_page` made."""
    reader = _Reader()
    reader.feed(page.decode("utf-8", errors="replace"))
    reader.close()
    pairs = tuple(EvidencePair(title, tuple(images)) for title, images in reader.pairs[:_MOST_PAIRS])
    return Evidence(reader.title, reader.verdict, pairs)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.title = ""
        self.verdict = ""
        self.pairs: list[tuple[str, list[EvidenceImage]]] = []
        self._within = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "p" and (given.get("class") or "").startswith("verdict"):
            self._within = "verdict"
        elif tag == "h3":
            self._within = "pair"
            self.pairs.append(("", []))
        elif tag in ("h1", "h2"):
            self._within = tag
        elif tag == "img" and self.pairs:
            image = _decoded(given.get("src") or "")
            if image is not None:
                self.pairs[-1][1].append(EvidenceImage(image, given.get("alt") or ""))

    def handle_endtag(self, tag: str) -> None:
        if tag in ("p", "h1", "h2", "h3"):
            self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within == "h1":
            self.title += data
        elif self._within == "verdict":
            self.verdict += data
        elif self._within == "pair":
            title, images = self.pairs[-1]
            self.pairs[-1] = (title + data, images)


def _decoded(source: str) -> bytes | None:
    if not source.startswith(_DATA):
        return None
    try:
        image = base64.b64decode(source.removeprefix(_DATA), validate=True)
    except binascii.Error:
        return None
    return image if image.startswith(_PNG) else None
