"""What a scientist sees and does on the page, with real channels behind it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
from nicegui import ui
from nicegui.testing import User, user_simulation

from eucentric_core import Role
from eucentric_dashboard import LiveHub
from eucentric_dashboard.pages import PAGES
from eucentric_dashboard.pages.live import PAGE
from eucentric_dashboard.site import Person, Visit
from eucentric_dashboard.site._shell import open_page

from .stand_in import Site

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def user(hub: LiveHub) -> AsyncIterator[User]:
    visit = Visit(hub, hub.settings, Person("ada", Role.SCIENTIST))
    async with user_simulation(root=lambda: open_page(PAGE, visit, PAGES)) as simulated:
        yield simulated


async def sees(user: User, content: str) -> None:
    await user.should_see(content, retries=200)


async def until(is_so: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline_s, "did not come about"
        await asyncio.sleep(0.05)


async def open_with_frames(user: User, hub: LiveHub, site: Site, *, version: int = 1) -> None:
    site.start_agent()
    site.start_edge()
    await user.open("/")

    def complete() -> bool:
        complete_after = hub.course[-1].sequence + 1 if hub.course else 0
        site.publish(complete_after, version=version)
        picture = hub.picture(with_uncertainty=True)
        return picture is not None and picture.deviation is not None

    await until(complete)


async def test_a_simulated_instrument_is_never_taken_for_a_real_one(
    user: User, hub: LiveHub, site: Site
) -> None:
    await user.open("/")
    await user.should_not_see("SIMULATED")

    site.start_agent()

    await sees(user, "SIMULATED")


async def test_strip_and_figures_show_beam_dose_lease_and_model(user: User, hub: LiveHub, site: Site) -> None:
    await open_with_frames(user, hub, site, version=3)

    for fact in ("ON SAMPLE", "412 / 2,000 e/Å²", "80 kV", "anna · ", "atoms v3", "25 / 25 ms", "0.40"):
        await sees(user, fact)


async def test_safe_stop_reaches_the_agent_and_its_outcome_is_told(
    user: User, hub: LiveHub, site: Site
) -> None:
    site.start_agent()
    await user.open("/")

    user.find("Safe stop").click()

    await sees(user, "beam blanked, scan stopped, stage halted")
    await sees(user, "blanked")
    assert len(site.stopped_by) == 1


async def test_two_presses_of_escape_stop_as_well(user: User, hub: LiveHub, site: Site) -> None:
    site.start_agent()
    await user.open("/")
    key = {"action": "keydown", "repeat": False, "key": "Escape", "code": "Escape", "location": 0}
    held = dict.fromkeys(("altKey", "ctrlKey", "metaKey", "shiftKey"), False)

    user.find(ui.keyboard).trigger("key", {**key, **held}).trigger("key", {**key, **held})

    await sees(user, "beam blanked, scan stopped, stage halted")


async def test_safe_stop_can_be_pressed_without_an_agent_and_says_what_to_do(user: User, site: Site) -> None:
    await user.open("/")

    user.find("Safe stop").click()

    await sees(user, "SAFE STOP NOT CONFIRMED")
    await sees(user, "Use the microscope's own panel now.")


async def test_an_agent_that_goes_away_is_told_and_one_that_comes_back_is_live_again(
    user: User, hub: LiveHub, site: Site
) -> None:
    await open_with_frames(user, hub, site)
    site.stop_agent()

    await sees(user, "has not answered for")
    await sees(user, "unknown")
    site.start_agent()

    await until(lambda: hub.agent.online)
    await sees(user, "ON SAMPLE")


async def test_a_swap_of_the_model_is_told_in_the_course(user: User, hub: LiveHub, site: Site) -> None:
    await open_with_frames(user, hub, site)

    def swapped() -> bool:
        site.publish(hub.course[-1].sequence + 1, version=2)
        return hub.course[-1].model_version == 2

    await until(swapped)
    await sees(user, "1 swap of the model")
    (chart,) = user.find(kind=ui.echart, marker="course").elements
    assert chart.options["series"][0]["markLine"]["data"][0]["label"]["formatter"] == "v1 → v2"


async def test_a_machine_without_runs_says_what_would_start_one(user: User) -> None:
    await user.open("/")

    await sees(user, "No run yet. A policy starts one when drift is detected")
    await sees(user, "Prefect")
