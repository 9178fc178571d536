"""What the doctor says of the site that trainings run on."""

from __future__ import annotations

from pathlib import Path

import pytest

from eucentric.doctor._site import check_site
from eucentric_core import Settings


def settings(executor: str, site: Path | None) -> Settings:
    return Settings.model_validate({"hpc": {"executor": executor, "site": site and str(site)}})


@pytest.fixture
def site(tmp_path: Path) -> Path:
    path = tmp_path / "lab.toml"
    path.write_text('name = "lab"\n[slurm]\npartition = "gpu"\n')
    return path


def test_without_a_site_none_is_needed() -> None:
    found = check_site(settings("parsl-local", None))
    assert (found.status, found.detail) == ("absent", "hpc.site is not set: parsl-local needs none")


def test_a_good_site_is_named(site: Path) -> None:
    found = check_site(settings("parsl-slurm", site), submit="true")
    assert (found.status, found.detail) == ("ok", "lab, by parsl-slurm")


def test_a_mistake_in_its_file_is_told(site: Path) -> None:
    site.write_text(site.read_text().replace("partition", "partitoin"))
    found = check_site(settings("parsl-slurm", site), submit="true")
    assert found.status == "fail"
    assert "did you mean 'partition'?" in found.detail


def test_a_machine_that_cannot_submit_is_told(site: Path) -> None:
    found = check_site(settings("parsl-slurm", site), submit="no-such-program")
    assert found.status == "fail"
    assert "no-such-program is not on the PATH" in found.detail
