"""A Globus that fails, lies or is in a bad mood costs no frame and frees none: all arrives once it is well.

The real globus-sdk speaks to the emulated service (SIMULATED), which really moves the files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from eucentric_agents.recording import Journal, Shipper
from eucentric_core import EucentricError, Event, Shard, TransferFailed, utc_now
from eucentric_data_repository import Catalogue, RepositoryFolders
from eucentric_transfer import FarEndError
from eucentric_transfer.globus import _account

from ...servers.globus import GlobusEmulator
from ...transfer.globus_site import Site
from .outbox import SHARDS, local, sealed, ship_often, take_in

PASSES = 12
"""More than any of this may take once the service is well: shards that were refused are sent again first."""

MANY = 10_000

Fault = Callable[[Site], None]


def moves_nothing(site: Site) -> None:
    site.emulator.faults.lie_succeeded = MANY


def leaves_the_last_file_out(site: Site) -> None:
    site.emulator.faults.lie_last_file = MANY


def moves_too_little(site: Site) -> None:
    site.emulator.faults.shorten = MANY


def moves_another_content(site: Site) -> None:
    site.emulator.faults.swap = SHARDS


def says_failed(site: Site) -> None:
    site.emulator.faults.fail_tasks = MANY


def accepts_no_token(site: Site) -> None:
    site.emulator.faults.answers = [("/v0.10/", 401, {})] * MANY


def asks_to_be_left_alone(site: Site) -> None:
    site.emulator.faults.answers = [("/v0.10/", 429, {"Retry-After": "0"})] * MANY


def has_lost_its_head(site: Site) -> None:
    site.emulator.faults.answers = [("/v0.10/", 500, {})] * MANY


def is_slower_than_the_deadline(site: Site) -> None:
    site.change(deadline_s=1)
    site.emulator.faults.stall = True


TOLD: dict[Fault, str] = {
    moves_nothing: "says SUCCEEDED, but",
    leaves_the_last_file_out: "says SUCCEEDED, but",
    moves_too_little: "says SUCCEEDED, but",
    moves_another_content: "no receipt",
    says_failed: "failed: INTERNAL_ERROR",
    accepts_no_token: "401",
    asks_to_be_left_alone: "429",
    has_lost_its_head: "500",
    is_slower_than_the_deadline: "EXPIRED",
}
"""What whoever watches the shipping is told of each."""


@pytest.fixture
def site(globus_emulator: GlobusEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(_account, "_MAX_RETRY_SLEEP_S", 0.01)
    globus_emulator.mend()
    site = Site(globus_emulator, tmp_path / "globus")
    yield site
    site.close()
    globus_emulator.mend()


@pytest.fixture
def journal(site: Site) -> Iterator[Journal]:
    journal = sealed(site.near / "base" / "recording")
    yield journal
    journal.close()


def require_kept_or_receipted(before: dict[Path, bytes], folders: RepositoryFolders) -> int:
    """Every shard is here as it was, or the repository holds it and says so; returns how many are here."""
    kept = 0
    for path, content in before.items():
        receipt = folders.receipts / f"{path.name}.json"
        if receipt.exists():
            assert folders.shard("twin.s1", path.name).read_bytes() == content
        else:
            assert path.read_bytes() == content
            kept += 1
    return kept


@pytest.mark.parametrize("fault", TOLD, ids=lambda fault: fault.__name__)
def test_nothing_is_freed_for_it_and_all_arrives_once_it_is_well(
    site: Site, journal: Journal, fault: Fault
) -> None:
    folders = RepositoryFolders(site.root)
    folders.make()
    before = {path: path.read_bytes() for path in local(journal)}
    fault(site)
    errors: list[EucentricError] = []
    events: list[Event] = []
    ill = Shipper(journal, site.mover(), publish=events.append)
    kept = []
    for _ in range(2):
        errors += ship_often(ill, 1)
        take_in(folders)
        kept.append(require_kept_or_receipted(before, folders))
    assert kept[0] > 0
    assert any(TOLD[fault] in str(error) for error in errors), errors
    site.emulator.mend()
    site.change(deadline_s=60)
    well = Shipper(journal, site.mover(), publish=events.append)
    for _ in range(PASSES):
        well.retry_stuck()
        ship_often(well, 1)
        take_in(folders)
    assert local(journal) == []
    with Catalogue(folders.database) as catalogue:
        (dataset,) = catalogue.datasets()
        assert (dataset.state, dataset.frames, dataset.shards) == ("complete", 2 * SHARDS, SHARDS)


def another_year(document: bytes) -> bytes:
    """Still a document of its kind, of the same length, that says something else."""
    year = f"{utc_now():%Y}-".encode()
    assert year in document
    return document.replace(year, b"2001-", 1)


def nonsense(document: bytes) -> bytes:
    return bytes(len(document))


def changing(site: Site, kind: str, change: Callable[[bytes], bytes]) -> None:
    """Globus says SUCCEEDED, and each document of a kind lies there with another content of its length."""

    def rewrite(destination: str, content: bytes) -> bytes:
        return change(content) if destination.removesuffix(".part").endswith(kind) else content

    site.emulator.faults.rewrite = rewrite


@pytest.mark.parametrize("change", [another_year, nonsense], ids=lambda change: change.__name__)
@pytest.mark.parametrize("kind", [".dataset.json", ".h5.json"])
def test_a_document_that_it_changes_is_refused_and_sent_again(
    site: Site, journal: Journal, kind: str, change: Callable[[bytes], bytes]
) -> None:
    folders = RepositoryFolders(site.root)
    folders.make()
    sent = {entry.name: entry.document for entry in journal.ledger.outbox("pending")}
    changing(site, kind, change)
    shipper = Shipper(journal, site.mover(), publish=lambda _event: None)
    ship_often(shipper, 1)
    take_in(folders)
    assert any(path.name.endswith(kind) for path in folders.quarantine.iterdir())
    site.emulator.mend()
    for _ in range(PASSES):
        ship_often(shipper, 1)
        take_in(folders)
    assert local(journal) == []
    assert {entry.name for entry in journal.ledger.outbox("done")} == set(sent)
    with Catalogue(folders.database) as catalogue:
        (dataset,) = catalogue.datasets()
        assert (dataset.state, dataset.frames) == ("complete", 2 * SHARDS)
        for entry in catalogue.shards():
            assert entry.shard == Shard.model_validate_json(sent[entry.shard.file_name])


def test_a_manifest_that_it_changes_again_and_again_is_stuck_with_its_reason(
    site: Site, journal: Journal
) -> None:
    folders = RepositoryFolders(site.root)
    folders.make()
    changing(site, ".dataset.json", another_year)
    events: list[Event] = []
    shipper = Shipper(journal, site.mover(), publish=events.append)
    for _ in range(PASSES):
        ship_often(shipper, 1)
        take_in(folders)
    assert local(journal) == []
    (stuck,) = shipper.stuck()
    assert stuck.name == "twin.s1.dataset.json"
    assert shipper.status().stuck == 1
    assert [event.error.what for event in events if isinstance(event, TransferFailed)] == [
        "The repository has no receipt for twin.s1.dataset.json, delivered 3 times."
    ]
    site.emulator.mend()
    assert shipper.retry_stuck() == (stuck.name,)
    ship_often(shipper, 1)
    take_in(folders)
    ship_often(shipper, 1)
    with Catalogue(folders.database) as catalogue:
        assert [dataset.state for dataset in catalogue.datasets()] == ["complete"]


def test_a_token_that_expired_while_a_task_ran_is_renewed_and_the_task_goes_on(
    site: Site, journal: Journal
) -> None:
    folders = RepositoryFolders(site.root)
    folders.make()
    mover = site.mover()
    shipper = Shipper(journal, mover, publish=lambda _event: None)
    site.emulator.auth.access_token_lifetime_s = 1
    try:
        for _ in range(PASSES):
            assert not any(isinstance(error, FarEndError) for error in ship_often(shipper, 1))
            take_in(folders)
    finally:
        site.emulator.auth.access_token_lifetime_s = 172800
    assert local(journal) == []
