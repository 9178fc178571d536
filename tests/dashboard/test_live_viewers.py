"""What viewers of one live image share, how often each is served, and what their browsers load."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from fastapi import FastAPI

from eucentric_dashboard import Picture
from eucentric_dashboard.pages.live._assets import WORKER, asset_routes
from eucentric_dashboard.pages.live._made_once import Choice, MessageMaker, state_of
from eucentric_dashboard.pages.live._pace import MAX_PER_VIEWER_S, MAX_SENT_PER_S, least_interval_s

from .stand_in import answer_of, frame_of, uncertainty_of
from .web import served


def test_viewers_of_the_same_get_one_message_and_others_their_own() -> None:
    async def look() -> None:
        maker, picture = MessageMaker(), Picture(3, frame_of(7), arrived_s=0.0)
        one, same, strong = await asyncio.gather(
            maker.made(picture, Choice()),
            maker.made(picture, Choice()),
            maker.made(picture, Choice(contrast="strong")),
        )
        assert one is same
        assert strong.content != one.content
        assert await maker.made(picture, Choice()) is one

    asyncio.run(look())


def test_a_viewer_that_goes_does_not_take_the_message_of_the_others_with_it() -> None:
    async def look() -> None:
        maker, picture = MessageMaker(), Picture(3, frame_of(7), arrived_s=0.0)
        gone = asyncio.create_task(maker.made(picture, Choice()))
        stays = asyncio.create_task(maker.made(picture, Choice()))
        await asyncio.sleep(0)
        gone.cancel()
        assert (await stays).content
        with pytest.raises(asyncio.CancelledError):
            await gone

    asyncio.run(look())


def test_a_frame_is_sent_again_when_its_answer_has_come_and_the_uncertainty_only_to_those_who_want_it() -> (
    None
):
    picture = Picture(3, frame_of(7), arrived_s=0.0)
    bare = state_of(picture, Choice())
    picture.answer, picture.rows = answer_of(7)
    answered = state_of(picture, Choice())
    _, picture.deviation = uncertainty_of(7)

    assert bare != answered
    assert state_of(picture, Choice()) == answered
    assert state_of(picture, Choice(uncertainty=True)) != answered


def test_viewers_share_what_is_sent_in_all_and_one_alone_gets_what_a_screen_shows() -> None:
    assert least_interval_s(1) == 1 / MAX_PER_VIEWER_S
    for viewers in (10, 200):
        assert viewers / least_interval_s(viewers) == pytest.approx(MAX_SENT_PER_S)


def test_a_browser_gets_the_modules_of_the_view_and_no_other_file() -> None:
    application = FastAPI()
    application.include_router(asset_routes())
    with served(application) as url, httpx.Client(base_url=url, timeout=30) as client:
        found = client.get(WORKER)
        assert found.headers["content-type"].startswith("text/javascript")
        assert found.headers["cache-control"] == "no-cache"
        for name in ("..%2F_assets.py", "nothing.js"):
            assert client.get(WORKER.replace("worker.js", name)).status_code == 404
