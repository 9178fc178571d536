"""Policies as people at browsers meet them. The books are the engine's own; nothing runs beside."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from eucentric_core import utc_now
from eucentric_flows.engine import Answers, Decisions, Journal, PolicyStore, Switches, policies_file
from eucentric_flows.policy import Ruling, load_policies

from ...flows.conftest import drift_event
from ..browser import serious_faults
from ..stand_in import eventually
from .conftest import AsPerson
from .work_site import WorkSite

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

WRONG = """schema_version = 2
name = "stricter"
model = "atoms"
[trigger]
kind = "drft"
[gaurds]
cooldown_s = 60
"""


def drifts(site: WorkSite, count: int) -> int:
    """So many drifts, one an hour; returns how many events the hub has heard with them."""
    now = utc_now()
    with PolicyStore(policies_file(site.settings)) as store:
        for number in range(count):
            event = drift_event(id=f"drift-{number}", drift_score=1.0 + number)
            Journal(store).add(event, now - timedelta(hours=count - number))
        return len(list(Journal(store).between(now - timedelta(days=1), now)))


def test_the_sentence_follows_the_form_and_faults_name_line_and_word(
    work_site: WorkSite, as_person: AsPerson
) -> None:
    heard = drifts(work_site, 4)
    page = as_person("ana").page
    page.goto(f"{work_site.url}/policies")
    sentence = page.get_by_text("When the edge reports drift of model atoms of score 1.5 or more")
    expect(sentence).to_be_visible()

    page.get_by_label("Min score").fill("2.5")
    expect(page.get_by_text("of score 2.5 or more")).to_be_visible()
    page.get_by_label("Cooldown (s)").fill("2 h")
    expect(page.get_by_text("2 h between them")).to_be_visible()
    page.get_by_role("button", name="Back-test").click()
    expect(
        page.get_by_text(re.compile(rf" {heard} event\(s\): retrain-on-drift would have fired"))
    ).to_be_visible()
    expect(page.get_by_role("img", name="Decisions of retrain-on-drift")).to_be_visible()
    assert serious_faults(page) == []

    page.get_by_role("button", name="text", exact=True).click()
    page.get_by_label("Policy file (TOML)").fill(WRONG)
    expect(page.get_by_text("2 things to mend")).to_be_visible()
    expect(
        page.get_by_text("line 5, column 8, trigger.kind: is no known kind; did you mean drift?")
    ).to_be_visible()
    expect(page.get_by_text('5 | kind = "drft"')).to_be_visible()
    expect(page.get_by_role("button", name="Take into use")).to_be_disabled()


def test_a_policy_is_taken_into_use_switched_off_and_all_are_paused_each_by_name_and_reason(
    work_site: WorkSite, as_person: AsPerson
) -> None:
    page = as_person("ana").page
    page.goto(f"{work_site.url}/policies")
    name = page.get_by_label("Name", exact=True)
    expect(name).to_have_value("retrain-on-drift")
    name.fill("stricter")
    expect(page.get_by_text("When the edge reports drift")).to_be_visible()

    page.get_by_role("button", name="Take into use").click()
    page.get_by_label("Why").fill("drift at night")
    page.get_by_role("dialog").get_by_role("button", name="Take it into use").click()
    page.get_by_role("button", name="Disable stricter").click()
    page.get_by_label("Why").fill("column open")
    page.get_by_role("dialog").get_by_role("button", name="Disable").click()
    expect(
        page.get_by_text(re.compile("Off: policy stricter was disabled by ana .*column open"))
    ).to_be_visible()
    page.get_by_role("button", name="Pause all").click()
    page.get_by_label("Why").fill("visitors")
    page.get_by_role("dialog").get_by_role("button", name="Pause all").click()
    expect(page.get_by_text(re.compile("All policies are paused by ana .*visitors"))).to_be_visible()
    with PolicyStore(policies_file(work_site.settings)) as store:
        assert Switches(store).pause() is not None
    page.get_by_role("button", name="Resume all").click()
    expect(page.get_by_role("button", name="Pause all")).to_be_visible()
    assert "stricter" in [policy.name for policy in load_policies(work_site.settings.policies_path)]
    work_site.settings.policies_path.joinpath("stricter.toml").unlink()


def test_a_firing_that_waits_is_rejected_with_a_reason_and_history_tells_why_things_happened(
    work_site: WorkSite, as_person: AsPerson
) -> None:
    now = utc_now()
    with PolicyStore(policies_file(work_site.settings)) as store:
        for occurrence, status, reason in (
            ("asks", "awaiting", "a person has to approve"),
            ("was-held", "held", "the cooldown is 10 min"),
        ):
            ruling = Ruling(
                occurrence=occurrence,
                status=status,
                reason=reason,
                until_utc=now + timedelta(hours=1),
            )
            Decisions(store).record("on-drift", ruling, now, event_kind="drift.detected")
    page = as_person("ben").page
    page.goto(f"{work_site.url}/policies")
    expect(page.get_by_text("the cooldown is 10 min")).to_be_visible()
    expect(page.get_by_role("heading", name="Waiting for a person")).to_be_visible()

    page.get_by_role("button", name="Reject on-drift").click()
    page.get_by_label("Why").fill("sample is charging")
    page.get_by_role("dialog").get_by_role("button", name="Reject").click()

    with PolicyStore(policies_file(work_site.settings)) as store:
        assert eventually(lambda: bool(Answers(store).open(["on-drift"])))
        answer = Answers(store).open(["on-drift"])["on-drift", "asks"]
    assert (answer.approved, answer.by, answer.because) == (False, "ben", "sample is charging")


def test_who_only_looks_switches_nothing(work_site: WorkSite, as_person: AsPerson) -> None:
    page = as_person("vic").page
    page.goto(f"{work_site.url}/policies")

    page.get_by_role("button", name="Pause all").click()

    expect(page.get_by_text("This needs the role operator; vic has the role viewer.")).to_be_visible()
