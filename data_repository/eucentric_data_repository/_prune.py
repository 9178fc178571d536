"""Deleting what the retention rules no longer keep: looked at twice, under a lock, safe to be interrupted."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from sqlalchemy import Connection, select, update

from eucentric_core import (
    BusyError,
    DatasetManifest,
    FrozenModel,
    OutOfSpaceError,
    RetentionRule,
    Shard,
    TransferFailedError,
    fsync_directory,
    reached,
    utc_now,
)
from eucentric_transfer import Mover

from ._catalogue import Catalogue
from ._copies import ArchiveOpener, copies_confirmed, require_elsewhere
from ._entries import ShardEntry
from ._retention import Decision, RetentionCase, copies_wanted, decide
from ._root_lock import root_lock
from ._tables import datasets, holds, lineage_edges, shards, tags
from ._writer import CatalogueWriter

__all__ = ["PruneFinding", "prune"]

_LOCK_TIMEOUT_S = 60.0
_LOCK_POLL_S = 0.05

_log = logging.getLogger(__name__)


class PruneFinding(FrozenModel):
    """What becomes, or became, of one shard, and why."""

    dataset_id: str
    file_name: str
    size_bytes: int
    delete: bool
    deleted: bool
    why: str
    rule: str | None


def prune(
    catalogue: Catalogue,
    rules: Sequence[RetentionRule],
    archives: Sequence[str],
    opener: ArchiveOpener,
    *,
    dry_run: bool,
    now: Callable[[], datetime] = utc_now,
) -> Iterator[PruneFinding]:
    """Go through all shards and delete those that the rules let go, if this is no dry run.

    A shard is never deleted while its data set is open, without a receipt, while a person holds it, or
    while a run, a model or an export refers to it. Its hash and its provenance stay in the catalogue.

    Args:
        catalogue: which shards.
        rules: of the site.
        archives: addresses of archives whose copies count.
        opener: opens an archive's mover; each copy's hash is asked for anew, once it is known that the
            archive is not the repository's own folder under another name.
        dry_run: only say what would be done.
        now: the clock.

    Raises:
        ConfigurationError: an archive is the repository's own folder; nothing was deleted for its sake.
        BusyError: the repository's service has been moving files for a minute; nothing was deleted.
        ServiceUnavailableError, OutOfSpaceError: the catalogue cannot be written.
    """
    with ExitStack() as stack:
        if not dry_run:
            # A shard that is delivered again must not come in while its file is being deleted.
            stack.enter_context(_root_to_ourselves(catalogue.root))
        writer = stack.enter_context(_Pruner(catalogue, rules, now))
        movers: dict[str, Mover] | None = None
        for entry in catalogue.shards():
            case = writer.look(entry)
            if movers is None and copies_wanted(rules, case, now()):
                movers = _open_archives(archives, opener, catalogue.root, stack)
            yield writer.finding(entry, case, movers or {}, dry_run=dry_run)


def _open_archives(
    archives: Sequence[str], opener: ArchiveOpener, root: Path, stack: ExitStack
) -> dict[str, Mover]:
    """The archives that answer and are elsewhere; a copy in another counts as none."""
    movers: dict[str, Mover] = {}
    for address in archives:
        mover = opener(address)
        stack.callback(mover.close)
        try:
            require_elsewhere(mover, address, root)
        except (TransferFailedError, OutOfSpaceError) as error:
            _log.warning("copies in %s do not count: %s", address, error.what)
            continue
        movers[address] = mover
    return movers


class _Pruner(CatalogueWriter):
    def __init__(
        self, catalogue: Catalogue, rules: Sequence[RetentionRule], now: Callable[[], datetime]
    ) -> None:
        super().__init__(catalogue.database)
        self._catalogue = catalogue
        self._rules = rules
        self._now = now

    def look(self, entry: ShardEntry) -> RetentionCase:
        with self._transaction() as connection:
            return _case(connection, entry, copies=0)

    def finding(
        self, entry: ShardEntry, case: RetentionCase, movers: Mapping[str, Mover], *, dry_run: bool
    ) -> PruneFinding:
        copies = 0
        if copies_wanted(self._rules, case, self._now()):
            copies = len(copies_confirmed(self._catalogue, entry, movers))
        decision = decide(self._rules, case.model_copy(update={"copies_confirmed": copies}), self._now())
        deleted = False
        if not dry_run:
            self._resolve(entry, decision)
            if decision.delete:
                decision = self._mark(entry, copies)
            if decision.delete:
                reached("prune.marked")
                decision = self._remove(entry, copies)
                deleted = decision.delete
        return PruneFinding(
            dataset_id=entry.dataset_id,
            file_name=entry.shard.file_name,
            size_bytes=entry.shard.size_bytes,
            delete=decision.delete,
            deleted=deleted,
            why=decision.why,
            rule=decision.rule,
        )

    def _decide(self, connection: Connection, entry: ShardEntry, copies: int) -> Decision:
        return decide(self._rules, _case(connection, entry, copies=copies), self._now())

    def _resolve(self, entry: ShardEntry, decision: Decision) -> None:
        """Finish, or take back, a deletion that was interrupted."""
        if entry.state != "pruning" or decision.delete:
            return
        with self._transaction() as connection:
            if entry.path.exists():
                _set_state(connection, entry, state="here", pruned_why=None)
            else:
                _set_state(connection, entry, state="pruned", pruned_utc=self._now())

    def _mark(self, entry: ShardEntry, copies: int) -> Decision:
        with self._transaction() as connection:
            decision = self._decide(connection, entry, copies)
            if decision.delete:
                why = f"rule {decision.rule!r}: {decision.why}"
                _set_state(connection, entry, state="pruning", pruned_why=why)
        return decision

    def _remove(self, entry: ShardEntry, copies: int) -> Decision:
        # Whoever holds or refers to the data set waits for this transaction, or is seen by it.
        with self._transaction() as connection:
            decision = self._decide(connection, entry, copies)
            if not decision.delete:
                _set_state(connection, entry, state="here", pruned_why=None)
                return decision
            entry.path.unlink(missing_ok=True)
            if entry.path.parent.is_dir():
                fsync_directory(entry.path.parent)
            reached("prune.removed")
            _set_state(connection, entry, state="pruned", pruned_utc=self._now())
        reached("prune.done")
        return decision


def _case(connection: Connection, entry: ShardEntry, *, copies: int) -> RetentionCase:
    name, key = entry.dataset_id, entry.shard.idempotency_key
    dataset = connection.execute(select(datasets).where(datasets.c.dataset_id == name)).one()
    shard = connection.execute(
        select(shards.c.state, shards.c.receipted_utc).where(shards.c.idempotency_key == key)
    ).one()
    tagged = connection.execute(select(tags.c.tag).where(tags.c.dataset_id == name)).scalars()
    referring = connection.execute(
        select(lineage_edges.c.source)
        .where(lineage_edges.c.target.in_([f"dataset:{name}", f"shard:{key}"]))
        .order_by(lineage_edges.c.source)
    ).scalars()
    hold = connection.execute(select(holds.c.why).where(holds.c.dataset_id == name)).scalar()
    return RetentionCase(
        instrument=dataset.instrument,
        material=dataset.material,
        simulated=dataset.simulated,
        tags=tuple(tagged),
        complete=dataset.state == "complete",
        completed_utc=dataset.completed_utc,
        manifested=_lists(dataset.manifest, entry.shard),
        receipted=shard.receipted_utc is not None,
        hold=hold,
        referenced_by=tuple(referring),
        pruned=shard.state == "pruned",
        copies_confirmed=copies,
    )


def _lists(manifest: str | None, shard: Shard) -> bool:
    return manifest is not None and shard.idempotency_key in _listed(manifest)


# Asked for every shard of a data set in turn.
@lru_cache(maxsize=4)
def _listed(manifest: str) -> frozenset[str]:
    return frozenset(shard.idempotency_key for shard in DatasetManifest.model_validate_json(manifest).shards)


def _set_state(connection: Connection, entry: ShardEntry, **values: object) -> None:
    connection.execute(
        update(shards).where(shards.c.idempotency_key == entry.shard.idempotency_key).values(**values)
    )


@contextmanager
def _root_to_ourselves(root: Path) -> Iterator[None]:
    deadline = time.monotonic() + _LOCK_TIMEOUT_S
    while True:
        with root_lock(root) as ours:
            if ours:
                yield
                return
        if time.monotonic() > deadline:
            raise BusyError(
                "The repository's service has been taking in files for a minute.",
                safe="nothing was deleted.",
                next_step="try again later, or stop the service meanwhile.",
            )
        time.sleep(_LOCK_POLL_S)
