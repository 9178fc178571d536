"""Nothing is deleted that anybody still needs: the decision by itself, and what a deletion does."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eucentric_core import ConfigurationError, DataFormatError, Lineage, RetentionRule, utc_now
from eucentric_data_repository import (
    Curator,
    LineageRecorder,
    PruneFinding,
    RetentionCase,
    copy_dataset,
    decide,
    prune,
    verify_shards,
)
from eucentric_transfer import PosixMover

NOW = datetime(2026, 11, 20, tzinfo=UTC)

names = st.sampled_from(["gold", "mos2", None])
cases = st.builds(
    RetentionCase,
    instrument=st.sampled_from(["twin", "usim"]),
    material=names,
    simulated=st.booleans(),
    tags=st.sets(st.sampled_from(["keep", "junk"])).map(tuple),
    complete=st.booleans(),
    completed_utc=st.none()
    | st.datetimes(NOW.replace(tzinfo=None) - timedelta(days=99)).map(
        lambda time: min(time.replace(tzinfo=UTC), NOW)
    ),
    manifested=st.booleans(),
    receipted=st.booleans(),
    hold=st.none() | st.just("for the referee"),
    referenced_by=st.just(()) | st.just(("model:atoms/3",)),
    pruned=st.booleans(),
    copies_confirmed=st.integers(0, 3),
)


@st.composite
def rules(draw: Any) -> RetentionRule:
    keep = draw(st.sampled_from(["forever", "days", "until_copied"]))
    days = draw(st.floats(0, 60)) if keep == "days" else draw(st.none() | st.floats(0, 60))
    copies = draw(st.integers(1, 3)) if keep == "until_copied" else draw(st.integers(0, 2))
    if keep == "forever":
        days, copies = None, 0
    return RetentionRule(
        name="r",
        keep=keep,
        days=days,
        copies=copies,
        tag=draw(st.sampled_from(["keep", "junk", None])),
        material=draw(names),
        simulated=draw(st.none() | st.booleans()),
    )


@given(st.lists(rules(), max_size=4), cases)
@settings(max_examples=300)
def test_nothing_is_deleted_that_anybody_needs(site: list[RetentionRule], case: RetentionCase) -> None:
    decision = decide(site, case, NOW)
    assert decision.why
    if decision.delete:
        assert case.complete
        assert case.manifested
        assert case.receipted
        assert case.hold is None
        assert not case.referenced_by
        assert not case.pruned
        rule = next(rule for rule in site if rule.name == decision.rule)
        assert case.completed_utc is not None
        assert rule.keep != "forever" or len({r.keep for r in site}) > 1
        assert case.copies_confirmed >= min(rule.copies for rule in site if rule.keep != "forever")


@given(st.lists(rules(), max_size=4), cases)
def test_what_is_needed_less_is_never_kept_more(site: list[RetentionRule], case: RetentionCase) -> None:
    freed = {"hold": None, "referenced_by": (), "receipted": True, "copies_confirmed": 3}
    if decide(site, case, NOW).delete:
        assert decide(site, case.model_copy(update=freed), NOW).delete
        assert decide(site, case, NOW + timedelta(days=1)).delete


@given(cases)
def test_without_rules_everything_is_kept(case: RetentionCase) -> None:
    assert not decide([], case, NOW).delete


FREE = RetentionCase(
    instrument="twin",
    material="gold",
    simulated=True,
    tags=("junk",),
    complete=True,
    completed_utc=NOW - timedelta(days=10),
    manifested=True,
    receipted=True,
    hold=None,
    referenced_by=(),
    pruned=False,
    copies_confirmed=0,
)
TEN_DAYS = RetentionRule(name="ten days", keep="days", days=10)


def test_the_first_rule_that_fits_counts() -> None:
    forever = RetentionRule(name="papers", tag="junk", keep="forever")
    elsewhere = RetentionRule(name="other", material="mos2", keep="forever")
    assert decide([TEN_DAYS, forever], FREE, NOW).delete
    assert decide([elsewhere, TEN_DAYS], FREE, NOW).rule == "ten days"
    kept = decide([forever, TEN_DAYS], FREE, NOW)
    assert (kept.delete, kept.rule, kept.why) == (False, "papers", "it is kept for ever")


def test_days_are_counted_from_completion() -> None:
    just_before = FREE.model_copy(update={"completed_utc": NOW - timedelta(days=10, seconds=-1)})
    assert decide([TEN_DAYS], FREE, NOW).delete
    decision = decide([TEN_DAYS], just_before, NOW)
    assert (decision.delete, decision.why) == (False, "it is kept until 2026-11-20 00:00 UTC")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"complete": False}, "open"),
        ({"manifested": False}, "open"),
        ({"receipted": False}, "no receipt"),
        ({"hold": "for the referee"}, "for the referee"),
        ({"referenced_by": ("model:atoms/3",)}, "model:atoms/3"),
        ({"pruned": True}, "already"),
    ],
)
def test_each_guard_keeps_by_itself(change: dict[str, Any], why: str) -> None:
    decision = decide([TEN_DAYS], FREE.model_copy(update=change), NOW)
    assert not decision.delete
    assert why in decision.why


# What a deletion does.

SOON = RetentionRule(name="at once", simulated=True, keep="days", days=0)
COPIED = RetentionRule(name="copied", keep="until_copied", copies=1)


@pytest.fixture
def complete(repository: Any, sender: Any) -> Any:
    """A complete data set of two shards, and an open one of one."""
    pair = [sender.seal(range(2)), sender.seal(range(2, 4), index=1)]
    for shard in pair:
        sender.deliver(shard)
    sender.deliver_manifest(sender.manifest(*pair))
    sender.deliver(sender.seal(range(2), session="open"))
    repository.ingest()
    return repository


def go(
    repository: Any, *rules: RetentionRule, delete: bool = True, archives: tuple[str, ...] = ()
) -> list[PruneFinding]:
    with repository.catalogue() as catalogue:
        opener: Callable[[str], Any] = lambda address: PosixMover(Path(address))  # noqa: E731
        return list(prune(catalogue, rules, archives, opener, dry_run=not delete))


def files(repository: Any) -> list[str]:
    return sorted(path.parent.name for path in repository.folders.shards.rglob("*.h5"))


def states(repository: Any) -> list[str]:
    with repository.catalogue() as catalogue:
        return [finding.state for finding in verify_shards(catalogue)]


def test_a_dry_run_says_what_and_why_and_touches_nothing(complete: Any) -> None:
    findings = go(complete, SOON, delete=False)
    assert [(f.dataset_id, f.delete, f.deleted) for f in findings] == [
        ("twin.open", False, False),
        ("twin.s1", True, False),
        ("twin.s1", True, False),
    ]
    assert "open" in findings[0].why
    assert (findings[1].why, findings[1].rule) == ("0 days are over", "at once")
    assert files(complete) == ["twin.open", "twin.s1", "twin.s1"]


def test_what_is_deleted_leaves_its_hash_and_provenance(complete: Any, sender: Any) -> None:
    assert [finding.deleted for finding in go(complete, SOON)] == [False, True, True]
    assert files(complete) == ["twin.open"]
    assert states(complete) == ["intact", "pruned", "pruned"]
    with complete.catalogue() as catalogue:
        entry = catalogue.shards(session="s1")[0]
        assert (entry.state, entry.shard) == ("pruned", sender.sealed[0])
        assert entry.pruned_why == "rule 'at once': 0 days are over"
        assert catalogue.dataset("twin.s1").entry.pruned == 2
        assert catalogue.count(session="s1") == 4
        with pytest.raises(DataFormatError, match=r"was pruned on .*rule 'at once'"):
            list(catalogue.frames("s1", "haadf"))
    assert [finding.why for finding in go(complete, SOON)][1:] == ["it is pruned already"] * 2


def test_what_was_pruned_and_is_delivered_again_is_back(complete: Any, sender: Any) -> None:
    go(complete, SOON)
    sender.deliver(sender.sealed[0])
    assert complete.ingest() == []
    assert states(complete) == ["intact", "intact", "pruned"]


def test_a_persons_hold_keeps_a_data_set(complete: Any) -> None:
    with Curator(complete.database, by="ada") as curator:
        curator.hold("twin.s1", "for the referee")
        assert not any(finding.delete for finding in go(complete, SOON))
        curator.release("twin.s1")
    assert sum(finding.deleted for finding in go(complete, SOON)) == 2


@pytest.mark.parametrize("kind", ["run", "export"])
def test_what_something_was_made_of_is_kept(complete: Any, kind: str) -> None:
    lineage = Lineage(
        datasets=("twin.s1",), code_version="1", trigger_id="t", policy=None, run_id="t", trained_from=None
    )
    with LineageRecorder(complete.database) as recorder:
        if kind == "run":
            recorder.record_training("atoms", 3, lineage)
        else:
            recorder.record_export("twin.s1", form="ro-crate", where="10.5281/zenodo.1")
    findings = go(complete, SOON)
    assert not any(finding.delete for finding in findings)
    assert "referenced by" in findings[1].why


def test_an_unreceipted_shard_is_kept(complete: Any) -> None:
    engine = complete.database.open()
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE shards SET receipted_utc = NULL")
    engine.dispose()
    assert not any(finding.delete for finding in go(complete, SOON))


def copied(repository: Any, archive: Path) -> None:
    archive.mkdir(exist_ok=True)
    with repository.catalogue() as catalogue:
        copy_dataset(catalogue, "twin.s1", str(archive), lambda address: PosixMover(Path(address)))


def test_a_copy_counts_only_if_its_hash_is_right_now(complete: Any, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    assert "0 of 1 copies" in go(complete, COPIED, archives=(str(archive),))[1].why
    copied(complete, archive)
    first, second = sorted(archive.rglob("*.h5"))
    first.write_bytes(b"rotten")
    findings = go(complete, COPIED, archives=(str(archive),))
    assert [finding.deleted for finding in findings] == [False, False, True]
    second.unlink()
    assert states(complete) == ["intact", "intact", "pruned"]


def test_a_copy_in_a_place_that_is_no_archive_does_not_count(complete: Any, tmp_path: Path) -> None:
    copied(complete, tmp_path / "laptop")
    assert not any(finding.delete for finding in go(complete, COPIED))


def test_the_repositorys_own_file_is_no_copy_of_itself(complete: Any, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    linked.mkdir()
    copied(complete, linked)
    for path in linked.rglob("*.h5"):
        path.unlink()
        path.hardlink_to(complete.folders.root / path.relative_to(linked))
    findings = go(complete, COPIED, archives=(str(linked),))
    assert not any(finding.delete for finding in findings)


class Collection:
    """Shows a folder without saying which, as a collection of Globus or another mount of a share does."""

    def __init__(self, folder: Path) -> None:
        self._mover = PosixMover(folder)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._mover, name)


def go_by_collections(repository: Any, shown: dict[str, Path]) -> list[PruneFinding]:
    opener: Callable[[str], Any] = lambda address: Collection(shown[address])  # noqa: E731
    with repository.catalogue() as catalogue:
        copy_dataset(catalogue, "twin.s1", next(iter(shown)), opener)
        return list(prune(catalogue, [COPIED], list(shown), opener, dry_run=False))


def test_an_archive_that_is_the_repositorys_own_folder_is_refused(complete: Any) -> None:
    before = sorted(complete.folders.shards.rglob("*"))
    with pytest.raises(ConfigurationError, match="own folder"):
        go_by_collections(complete, {"globus://here/": complete.folders.root})
    assert states(complete) == ["intact"] * 3
    assert sorted(complete.folders.shards.rglob("*")) == before
    with pytest.raises(ConfigurationError, match="own folder"):
        go(complete, COPIED, archives=(str(complete.folders.root),))


def test_an_archive_elsewhere_counts_and_keeps_nothing_of_being_asked(complete: Any, tmp_path: Path) -> None:
    archive, away = tmp_path / "archive", tmp_path / "away"
    archive.mkdir()
    findings = go_by_collections(complete, {"globus://there/": archive, "globus://away/": away})
    assert [finding.deleted for finding in findings] == [False, True, True]
    assert {path.suffix for path in archive.rglob("*") if path.is_file()} == {".h5"}


def test_one_copy_under_two_addresses_is_one_copy(complete: Any, tmp_path: Path) -> None:
    archive, alias = tmp_path / "archive", tmp_path / "alias"
    copied(complete, archive)
    alias.symlink_to(archive)
    copied(complete, alias)
    two = RetentionRule(name="two", keep="until_copied", copies=2)
    assert not any(f.delete for f in go(complete, two, archives=(str(archive), str(alias))))
    copied(complete, tmp_path / "second")
    places = (str(archive), str(alias), str(tmp_path / "second"))
    assert sum(f.deleted for f in go(complete, two, archives=places)) == 2


def test_a_hold_that_comes_between_decision_and_deletion_is_obeyed(
    complete: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hold(step: str) -> None:
        if step == "prune.marked":
            with Curator(complete.database, by="ada") as curator:
                curator.hold("twin.s1", "wait")

    monkeypatch.setattr("eucentric_core._steps.on_step", hold)
    assert not any(finding.delete for finding in go(complete, SOON))
    assert states(complete) == ["intact"] * 3
    with complete.catalogue() as catalogue:
        assert {entry.state for entry in catalogue.shards()} == {"here"}


@pytest.mark.parametrize("step", ["prune.marked", "prune.removed", "prune.done"])
@pytest.mark.parametrize("held", [False, True])
def test_killed_in_the_middle_a_deletion_is_finished_or_taken_back(
    complete: Any, step: str, held: bool
) -> None:
    child = os.fork()
    if child == 0:
        from eucentric_core import _steps

        _steps.on_step = lambda name: os.kill(os.getpid(), signal.SIGKILL) if name == step else None
        go(complete, SOON)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    if held:
        with Curator(complete.database, by="ada") as curator:
            curator.hold("twin.s1", "wait")
    go(complete, SOON)
    gone = 2 if not held else 0 if step == "prune.marked" else 1
    assert states(complete) == ["intact"] + ["pruned"] * gone + ["intact"] * (2 - gone)
    with complete.catalogue() as catalogue:
        assert [entry.state for entry in catalogue.shards()] == ["here"] + ["pruned"] * gone + ["here"] * (
            2 - gone
        )


def test_rules_that_make_no_sense_are_refused() -> None:
    for wrong in (
        {"keep": "days"},
        {"keep": "until_copied"},
        {"keep": "forever", "days": 3},
        {"keep": "days", "days": -1},
        {"keep": "days", "days": float("nan")},
    ):
        with pytest.raises(ValueError, match=r"keep|greater|finite"):
            RetentionRule(name="x", **wrong)
    assert utc_now() > NOW - timedelta(days=1)
