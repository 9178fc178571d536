"""The studio and the maps before real channels, without a browser: who may do what, and what is said."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import pytest_asyncio
from nicegui import ui
from nicegui.testing import User, user_simulation

from eucentric_core import Role
from eucentric_dashboard import LiveHub
from eucentric_dashboard.chips import ChipCanvas, shared_mapper
from eucentric_dashboard.pages.maps import PAGE as MAPS
from eucentric_dashboard.pages.studio import PAGE as STUDIO
from eucentric_dashboard.site import Page, Person, Visit
from eucentric_dashboard.site._shell import open_page

from ..stand_in import Site

pytestmark = pytest.mark.asyncio


@pytest.fixture(autouse=True)
def no_mapper_left() -> Iterator[None]:
    """A service ends the process that maps when it ends; here none does."""
    yield
    shared_mapper().close()


async def until(is_so: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline_s, "did not come about"
        await asyncio.sleep(0.05)


async def opened(user: User, hub: LiveHub, site: Site) -> None:
    """The page, once a frame has been answered."""
    site.start_agent()
    site.start_edge()

    def answered() -> bool:
        site.publish(hub.course[-1].sequence + 1 if hub.course else 0)
        picture = hub.picture(with_uncertainty=True)
        return picture is not None and picture.deviation is not None

    await until(answered)
    await user.open("/")


async def visiting(page: Page, hub: LiveHub, role: Role) -> AsyncIterator[User]:
    visit = Visit(hub, hub.settings, Person("ada", role))
    async with user_simulation(root=lambda: open_page(page, visit, (page,))) as simulated:
        yield simulated


@pytest_asyncio.fixture
async def scientist(hub: LiveHub) -> AsyncIterator[User]:
    async for user in visiting(STUDIO, hub, Role.SCIENTIST):
        yield user


@pytest_asyncio.fixture
async def viewer(hub: LiveHub) -> AsyncIterator[User]:
    async for user in visiting(STUDIO, hub, Role.VIEWER):
        yield user


@pytest_asyncio.fixture
async def looker(hub: LiveHub) -> AsyncIterator[User]:
    async for user in visiting(MAPS, hub, Role.VIEWER):
        yield user


def canvas_of(user: User) -> ChipCanvas:
    (found,) = user.find(ChipCanvas).elements
    return found


async def test_without_a_frame_the_studio_says_what_to_do(scientist: User) -> None:
    await scientist.open("/")
    await scientist.should_see("No image is open.", retries=100)
    scientist.find("Freeze live image").click()
    await scientist.should_see("There is no live image yet", retries=100)


async def test_the_live_image_is_frozen_with_a_grid_and_labelled(
    scientist: User, hub: LiveHub, site: Site
) -> None:
    await opened(scientist, hub, site)
    canvas = canvas_of(scientist)
    assert (canvas.props["width"], canvas.props["height"], canvas.props["pixel_nm"]) == (64, 64, 0.02)
    assert canvas.props["grid"] == {"side": 8, "top": 0, "left": 0, "rows": 8, "columns": 8}
    await scientist.should_see("s1 · haadf · frame", retries=100)
    await scientist.should_see("class 1", retries=100)
    scientist.find(ChipCanvas).trigger("paint", {"places": [[0, 0]], "key": 1})
    await scientist.should_see("class 1: one more chip, at least 2 are needed.", retries=100)
    assert canvas.props["chips"] == [[0, 0, 1]]


async def test_a_viewer_labels_but_saves_and_sends_nothing(viewer: User, hub: LiveHub, site: Site) -> None:
    await opened(viewer, hub, site)
    await viewer.should_see("Saving needs the role scientist.", retries=100)
    for words in ("Save", "Send to the edge", "Start a retraining"):
        (button,) = (one for one in viewer.find(ui.button).elements if one.text == words)
        assert not button.enabled


async def test_the_maps_show_the_edges_answer_in_cells(looker: User, hub: LiveHub, site: Site) -> None:
    await opened(looker, hub, site)
    await looker.should_see("atoms v1 at the edge", retries=100)
    canvas = canvas_of(looker)
    assert canvas.props["map"]["names"] == ["metal", "chalcogen"]
    looker.find(ChipCanvas).trigger("pick", {"place": [1, 1]})
    await looker.should_see("row 2, column 2", retries=100)
    await looker.should_see("0.9", retries=100)
    await looker.should_see("Drift score of the edge over the last", retries=100)
