"""Flows as people at browsers meet them: a real Prefect and the real flow service carry them out."""

from __future__ import annotations

import re
from uuid import uuid4

import pytest
from playwright.sync_api import expect

from ..browser import serious_faults
from .conftest import AsPerson
from .work_site import WorkSite

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def flows(nightly: None, work_site: WorkSite) -> WorkSite:
    """The same with Prefect and the flow service."""
    work_site.start("prefect")
    work_site.start("flows")
    return work_site


def test_a_form_says_units_bounds_and_what_is_wrong_with_a_word(
    work_site: WorkSite, as_person: AsPerson
) -> None:
    page = as_person("sam").page
    page.goto(f"{work_site.url}/flows?flow=montage")
    rows = page.get_by_label("Rows")
    expect(rows).to_have_value("3")
    expect(page.get_by_text("at least 1, at most 300").first).to_be_visible()
    estimate = page.get_by_text("No montage has come to its end here yet")
    expect(estimate).to_be_visible()

    rows.fill("301")
    expect(page.get_by_text("input should be less than or equal to 300").first).to_be_visible()
    expect(page.get_by_role("button", name="Start", exact=True)).to_be_disabled()
    rows.fill("two")
    expect(page.get_by_text("is no number").first).to_be_visible()
    rows.fill("2")

    expect(page.get_by_role("button", name="Start", exact=True)).to_be_enabled()
    assert serious_faults(page) == []


def test_a_flow_is_started_seen_to_its_end_and_read_about(flows: WorkSite, as_person: AsPerson) -> None:
    dataset = flows.record(f"s{uuid4().hex[:6]}", 4)
    page = as_person("sam").page
    page.goto(f"{flows.url}/flows?flow=ingest")

    page.get_by_label("Dataset id").fill(dataset)
    page.get_by_role("button", name="Start", exact=True).click()

    card = page.locator("section").filter(has=page.get_by_role("heading", name="ingest of data set"))
    expect(card).to_contain_text("done: ", timeout=90_000)
    expect(card).to_contain_text("asked for by sam")
    expect(card.get_by_text("verify", exact=True)).to_be_visible()
    expect(card.get_by_role("link", name="This run in Prefect")).to_be_visible()
    card.get_by_role("button", name="Logs").click()
    expect(page.get_by_role("log")).to_contain_text("ingest")
    with flows.runs as record:
        newest = record.runs(limit=1)[0]
    assert (newest.state, newest.asked_by) == ("done", "sam")
    page.get_by_label("Dataset id").fill("another")
    expect(page.get_by_text("It usually takes")).to_be_visible()


def test_a_run_that_waits_says_for_what_and_is_cancelled_by_name_and_gone_on_with(
    flows: WorkSite, as_person: AsPerson
) -> None:
    dataset = flows.record(f"s{uuid4().hex[:6]}", 2, complete=False)
    page = as_person("sam").page
    page.goto(f"{flows.url}/flows?flow=ingest")
    page.get_by_label("Dataset id").fill(dataset)
    page.get_by_role("button", name="Start", exact=True).click()
    card = page.locator("section").filter(has=page.get_by_role("heading", name="ingest of data set"))
    expect(card).to_contain_text("waited: waiting for the end of the recording", timeout=90_000)
    expect(card).to_contain_text("alive")

    card.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("dialog")).to_contain_text("Its jobs leave the queue")
    page.get_by_role("dialog").get_by_role("button", name="Cancel the run").click()

    expect(card).to_contain_text(re.compile("cancelled: .*sam"), timeout=90_000)
    flows.record(dataset.partition(".")[2], 2)
    card.get_by_role("button", name="Go on").click()
    expect(card).to_contain_text("done: ", timeout=90_000)
    expect(card).to_contain_text("attempt 2")


def test_who_only_looks_starts_nothing(work_site: WorkSite, as_person: AsPerson) -> None:
    page = as_person("vic").page
    page.goto(f"{work_site.url}/flows?flow=ingest")
    page.get_by_label("Dataset id").fill("whatever")

    page.get_by_role("button", name="Start", exact=True).click()

    expect(page.get_by_text("This needs the role scientist; vic has the role viewer.")).to_be_visible()


def test_without_prefect_starting_says_so_and_the_list_of_runs_stays(
    work_site: WorkSite, as_person: AsPerson
) -> None:
    running = work_site.running("prefect")
    if running:
        work_site.stop("flows")
        work_site.stop("prefect")
    page = as_person("sam").page
    page.goto(f"{work_site.url}/flows?flow=ingest")
    page.get_by_label("Dataset id").fill("whatever")

    page.get_by_role("button", name="Start", exact=True).click()

    expect(page.get_by_text("Prefect did not take the order of ingest")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("nothing was started.")).to_be_visible()
    expect(page.get_by_role("heading", name="Runs")).to_be_visible()
