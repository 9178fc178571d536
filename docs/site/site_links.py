"""Whether every link of the built site leads somewhere, and nothing is loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

__all__ = ["broken_links", "loaded_from_elsewhere"]

_LOADING = {("script", "src"), ("img", "src"), ("iframe", "src"), ("source", "src")}
_STYLES = {"stylesheet", "preload", "icon", "preconnect"}


@dataclass
class _Page(HTMLParser):
    """What a page links to, what it loads, and the places in it that can be linked to."""

    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        for name, value in given.items():
            if (tag, name) in _LOADING:
                self.loads.append(value)
        if tag == "link" and set(given.get("rel", "").split()) & _STYLES:
            self.loads.append(given.get("href", ""))


def broken_links(site: Path) -> list[str]:
    """Links within the site to a page, file or place in a page that does not exist: `page -> link`."""
    pages = {path: _read(path) for path in site.rglob("*.html") if path.name != "404.html"}
    return sorted(
        f"{path.relative_to(site)} -> {link}"
        for path, page in pages.items()
        for link in page.links
        if not _leads_somewhere(link, path, site, pages)
    )


def loaded_from_elsewhere(site: Path) -> list[str]:
    """Scripts, styles and pictures that a page would fetch from another site."""
    return sorted(_foreign(site))


def _foreign(site: Path) -> Iterator[str]:
    for path in site.rglob("*.html"):
        for address in _read(path).loads:
            if urlsplit(address).netloc:
                yield f"{path.relative_to(site)} loads {address}"


def _read(path: Path) -> _Page:
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    page.close()
    return page


def _leads_somewhere(link: str, path: Path, site: Path, pages: Mapping[Path, _Page]) -> bool:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return True
    target = path
    if parts.path:
        below = site if parts.path.startswith("/") else path.parent
        target = (below / unquote(parts.path).lstrip("/")).resolve()
    if target.is_dir():
        target /= "index.html"
    if not target.is_file():
        return False
    fragment = unquote(parts.fragment)
    return not fragment or target.suffix != ".html" or fragment in pages[target].anchors
