"""Turns the documents of the repository, where they lie, into the pages of the site; makes the reference."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import commands_reference
import gallery_page
import python_reference
import settings_reference
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

REPOSITORY = Path(__file__).resolve().parents[2]

_FOLDERS = (
    "docs",
    "infra",
    "benchmarks",
    "examples",
    *("client", "dashboard", "flows", "agents", "edge", "hpc"),
    *("model_registry", "data_repository", "models", "transfer", "core"),
)
_ROOT = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE")
_SHOWN = {".md", ".svg", ".png", ".ipynb", ".toml", ".yaml"}
_ALSO = {"Dockerfile"}
_ROOMS = _FOLDERS[4:]
_DECISIONS = REPOSITORY / "docs" / "decisions"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Fill the parts of the navigation that are made from what there is."""
    _expand(config.nav or [], {
        "docs/decisions/": [
            "docs/decisions/README.md",
            "docs/decisions/template.md",
            *sorted(f"docs/decisions/{path.name}" for path in _DECISIONS.glob("[0-9]*.md")),
        ],
        "rooms/": [f"{room}/README.md" for room in _ROOMS if room not in ("agents", "client", "dashboard")],
        "reference/python/": [f"reference/python/{name}.md" for name in python_reference.PAGES],
    })  # fmt: skip
    listed = set(_pages_of(config.nav))
    pages = sorted(path.relative_to(REPOSITORY).as_posix() for path in (REPOSITORY / "docs").glob("*.md"))
    if more := [page for page in pages if page not in listed]:
        config.nav = [*(config.nav or []), {"More": more}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Take the documents at their place in the repository instead of those below `docs/` alone."""
    for file in list(files.documentation_pages()) + list(files.static_pages()) + list(files.media_files()):
        if file.generated_by is None and not str(file.src_uri).startswith("assets/"):
            files.remove(file)
    for path in _documents():
        files.append(File.generated(config, path.relative_to(REPOSITORY).as_posix(), abs_src_path=str(path)))
    made = {
        "reference/settings.md": settings_reference.page(),
        "reference/commands.md": commands_reference.page(),
        **{f"reference/python/{name}.md": text for name, text in python_reference.pages().items()},
    }
    for name, text in made.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: MkDocsConfig, files: Files) -> str:
    """Show the pictures that the tests have made, and the template of decisions as it is written."""
    if page.file.src_uri == "docs/decisions/template.md":
        # To be copied, not followed.
        return f"# Template\n\n```markdown\n{markdown}\n```\n"
    if page.file.src_uri == "docs/gallery.md":
        return gallery_page.with_pictures(markdown, REPOSITORY / "docs" / "screenshots")
    return markdown


def _documents() -> Iterator[Path]:
    yield from (REPOSITORY / name for name in _ROOT)
    for folder in _FOLDERS:
        for path in sorted((REPOSITORY / folder).rglob("*")):
            shown = path.suffix in _SHOWN or path.name in _ALSO
            if shown and path.is_file() and path.parent.name != "site":
                yield path


def _pages_of(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    elif isinstance(nav, dict):
        for value in nav.values():
            yield from _pages_of(value)
    elif isinstance(nav, list):
        for entry in nav:
            yield from _pages_of(entry)


def _expand(nav: list[Any], lists: dict[str, list[str]]) -> None:
    for entry in nav:
        if isinstance(entry, dict):
            for title, value in entry.items():
                if isinstance(value, str) and value in lists:
                    entry[title] = lists[value]
                elif isinstance(value, list):
                    _expand(value, lists)
