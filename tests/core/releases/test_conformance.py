"""A machine believes a release exactly when TUF's client workflow does."""

from __future__ import annotations

from pathlib import Path

import pytest

from eucentric_core import EucentricError
from eucentric_core.releases import ReleaseTrust

from .attacks import CASES, Case
from .site import MODEL, Site


def trust_of(site: Site, folder: Path) -> ReleaseTrust:
    """A machine that was given the first root of a site by hand."""
    root = folder / "root.json"
    root.write_bytes(site.files["metadata/1.root.json"])
    return ReleaseTrust(folder / "trust", root)


def test_there_are_as_many_cases_as_promised_and_no_name_twice() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 56


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_a_machine_that_knows_release_1(case: Case, tmp_path: Path) -> None:
    site = Site(**case.thresholds)
    case.before(site)
    trust = trust_of(site, tmp_path)
    known = trust.newest(MODEL, site)
    assert known is not None
    before = trust.view
    case.attack(site)
    if case.refused is None:
        found = trust.newest(MODEL, site)
        assert found is not None
        assert found.number == case.number
        assert trust.view.problem is None
        return
    with pytest.raises(EucentricError) as refused:
        trust.newest(MODEL, site)
    assert type(refused.value) is case.refused, refused.value
    assert "keeps serving" in refused.value.safe
    assert trust.view.problem == refused.value.report()
    # What was verified once is never forgotten, by no attack.
    assert trust.view.root_version >= before.root_version
    assert (trust.view.timestamp_version or 0) >= (before.timestamp_version or 0)
