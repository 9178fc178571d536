"""The documentation as a site: built strictly, every link leads somewhere, nothing comes from other sites."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

BUILD_TIMEOUT_S = 800


@pytest.fixture(scope="module")
def site(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    folder = tmp_path_factory.mktemp("site") / "site"
    told = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=repository,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=BUILD_TIMEOUT_S,
        check=False,
    )
    assert told.returncode == 0, told.stderr[-6000:]
    return folder


@pytest.fixture(scope="module")
def site_links(repository: Path) -> ModuleType:
    """The link check, which lies with what builds the site."""
    spec = importlib.util.spec_from_file_location("site_links", repository / "docs/site/site_links.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["site_links"] = module
    spec.loader.exec_module(module)
    return module


def test_every_link_of_the_site_leads_somewhere(site: Path, site_links: ModuleType) -> None:
    assert site_links.broken_links(site) == []


def test_nothing_is_loaded_from_other_sites(site: Path, site_links: ModuleType) -> None:
    assert site_links.loaded_from_elsewhere(site) == []


def test_a_broken_link_and_a_foreign_script_are_noticed(tmp_path: Path, site_links: ModuleType) -> None:
    (tmp_path / "index.html").write_text(
        '<a href="gone/">x</a><a href="#nowhere">x</a><a href="#here">x</a><p id="here">'
        '<a href="https://example.org/">x</a><script src="https://example.org/x.js"></script>'
    )
    assert site_links.broken_links(tmp_path) == ["index.html -> #nowhere", "index.html -> gone/"]
    assert site_links.loaded_from_elsewhere(tmp_path) == ["index.html loads https://example.org/x.js"]


def test_the_settings_are_there_with_bounds_and_units(site: Path) -> None:
    page = (site / "reference/settings/index.html").read_text(encoding="utf-8")
    for words in ("<code>release_poll_s</code>", "≥ 0.1", "86 400", "<code>min_free_bytes</code>", "bytes"):
        assert words in page


def test_the_commands_are_there_with_their_options(site: Path) -> None:
    page = (site / "reference/commands/index.html").read_text(encoding="utf-8")
    for words in ("eucentric models promote", "--pixel-size-pm", "eucentric agent run", "--instrument"):
        assert words in page


def test_docstrings_are_there(site: Path) -> None:
    page = (site / "reference/python/client/index.html").read_text(encoding="utf-8")
    assert "Connect to an instrument. Connecting moves nothing" in page


def test_every_document_is_a_page(site: Path, repository: Path) -> None:
    missing = [
        path.name
        for path in (repository / "docs").glob("*.md")
        if path.name != "README.md" and not (site / "docs" / path.stem / "index.html").is_file()
    ]
    assert missing == []
    assert (site / "docs" / "index.html").is_file()
    assert (site / "index.html").is_file()
