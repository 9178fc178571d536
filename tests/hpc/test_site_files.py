"""Site files: what they say, and how a mistake in one is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from eucentric_core import HpcSettings
from eucentric_hpc import SiteError, load_site, open_executor
from eucentric_hpc.executors import site_of

GOOD = """
name = "lab"
modules = ["cuda/12.4"]

[slurm]
partition = "gpu"
walltime = "02:30:00"
gpus_per_node = 2
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "lab.toml"
    path.write_text(text)
    return path


def test_a_site_is_read(tmp_path: Path) -> None:
    site = load_site(written(tmp_path, GOOD))
    assert site.slurm is not None
    assert (site.name, site.modules, site.slurm.partition) == ("lab", ("cuda/12.4",), "gpu")
    assert site.slurm.walltime_s == 9000


@pytest.mark.parametrize("name", ["lab-cluster", "national-centre", "globus-endpoint"])
def test_the_examples_are_sites(name: str, repository: Path) -> None:
    assert load_site(repository / "infra" / "sites" / f"{name}.toml").name == name


def test_a_container_command_is_split_into_words(repository: Path) -> None:
    site = load_site(repository / "infra" / "sites" / "national-centre.toml")
    assert site.container_words[:3] == ("apptainer", "exec", "--nv")


@pytest.mark.parametrize(
    ("change", "line", "says"),
    [
        (('partition = "gpu"', 'partitoin = "gpu"'), 6, "there is no such key; did you mean 'partition'?"),
        (("[slurm]", "[slrum]"), 5, "there is no such key; did you mean 'slurm'?"),
        (('walltime = "02:30:00"', 'walltime = "2 hours"'), 7, "should match pattern"),
        (("gpus_per_node = 2", "gpus_per_node = -1"), 8, "greater than or equal to 0"),
        (('partition = "gpu"', 'partition = "gpu\\n#SBATCH --uid=0"'), 6, "should match pattern"),
        (("[slurm]", 'python = "venv/bin/python"\n[slurm]'), 5, "give an absolute path"),
        (('name = "lab"', ""), None, "name: is missing"),
        (("[slurm]", "[slurm"), 5, "is not TOML"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_the_nearest_word(
    change: tuple[str, str], line: int | None, says: str, tmp_path: Path
) -> None:
    path = written(tmp_path, GOOD.replace(*change))
    with pytest.raises(SiteError) as caught:
        load_site(path)
    assert says in caught.value.what
    assert str(path) in caught.value.what
    assert line is None or f"line {line}" in caught.value.what


def test_a_named_site_lies_in_the_folder_of_sites(tmp_path: Path) -> None:
    written(tmp_path, GOOD)
    assert site_of(HpcSettings(site="lab", sites=tmp_path)).name == "lab"
    with pytest.raises(SiteError, match="does not exist") as caught:
        site_of(HpcSettings(site="labb", sites=tmp_path))
    assert caught.value.next_step == "did you mean 'lab'?"


def test_an_executor_without_the_site_it_needs_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(SiteError, match="needs a site"),
        open_executor(HpcSettings(executor="parsl-slurm"), tmp_path),
    ):
        pytest.fail("the block must not be entered")
    path = written(tmp_path, 'name = "lab"\n')
    for kind, table in (("parsl-slurm", "Slurm"), ("globus-compute", "Globus Compute")):
        opening = open_executor(HpcSettings(executor=kind, site=str(path)), tmp_path)
        with pytest.raises(SiteError, match=f"says nothing of {table}"), opening:
            pytest.fail("the block must not be entered")
