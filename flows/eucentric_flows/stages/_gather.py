"""Waiting, for a bounded time and with a visible reason, for the acquisitions that a retraining wants."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from eucentric_core import FrozenModel, Identifier, write_atomic
from eucentric_data_repository import Catalogue, ShardEntry

from .._errors import HeldError, NotEnoughFramesError
from ..policy import RetrainAction, RetrainRequest
from ._collect import Collected, Collector
from ._workspace import Workspace

if TYPE_CHECKING:
    from eucentric_hpc.recipes import RecipeData

__all__ = ["Gathered", "Stretch", "gather", "stretch_of"]

_POLL_S = 0.5


class Stretch(FrozenModel):
    """Acquisitions of a session, by the first and the last sequence number."""

    first: int
    last: int


class Gathered(FrozenModel):
    """What was gathered.

    Attributes:
        session: it was gathered from.
        datasets: the same in the catalogue.
        material: that the catalogue states for it, if any.
        stretch: of the session.
        inputs: of the recipe, by name.
    """

    session: str
    datasets: tuple[str, ...]
    material: Identifier | None
    stretch: Stretch
    inputs: dict[str, Collected]

    @property
    def training(self) -> RecipeData:
        """What the recipe is given."""
        return _data({name: found.training for name, found in self.inputs.items()})

    @property
    def holdout(self) -> RecipeData:
        """What only ever judges."""
        return _data({name: found.holdout for name, found in self.inputs.items()})


def gather(
    catalogue: Catalogue,
    request: RetrainRequest,
    action: RetrainAction,
    workspace: Workspace,
    say: Callable[[str], None],
    *,
    champion: tuple[Path, ...],
    classes: tuple[str, ...] | None,
) -> Gathered:
    """Wait for the wanted acquisitions, and write what the recipe takes of them.

    A request that says where to begin gets the acquisitions that follow, any other the newest ones: what is
    learned from then depends on the experiment, not on how busy this machine is.

    Args:
        catalogue: where acquisitions are registered.
        request: which.
        action: how many, how long to wait, and which inputs come from where.
        workspace: where files go; what is complete is not gathered again.
        say: told what is being waited for.
        champion: weights of the model in service; none before the first.
        classes: of that model, in order.

    Raises:
        NotEnoughFramesError: they were not registered in time.
        HeldError: they hold nothing of the kind, or a file that people provide is not there.
    """
    if workspace.gathered.exists():
        return Gathered.model_validate_json(workspace.gathered.read_bytes())
    session, instrument = _session(catalogue, request)
    first = request.sequence_wanted
    shards = _wait_for_shards(catalogue, session, instrument, first, action, say)
    stretch = stretch_of(shards, first, action.frames, newest=not request.says_where_to_begin)
    workspace.inputs.mkdir(exist_ok=True)
    collector = Collector(
        catalogue=catalogue,
        session=session,
        instrument=instrument,
        first=stretch.first,
        last=stretch.last,
        folder=workspace.inputs,
        provided=workspace.folder.parent,
        champion=champion,
        classes=classes,
    )
    names = {entry.dataset_id for entry in shards if _overlaps(entry, stretch)}
    gathered = Gathered(
        session=session,
        datasets=tuple(sorted(names)),
        material=_material(catalogue, names),
        stretch=stretch,
        inputs={name: collector.collect(name, source) for name, source in action.sources.items()},
    )
    write_atomic(workspace.gathered, gathered.model_dump_json().encode())
    return gathered


def stretch_of(shards: Sequence[ShardEntry], first: int, wanted: int, *, newest: bool) -> Stretch:
    """The `wanted` acquisitions from `first` on, or the newest ones of them.

    Args:
        shards: that hold at least so many from there on, ascending.
        first: first sequence number that may be taken.
        wanted: how many.
        newest: whether to take the last ones.
    """
    spans = [(max(entry.shard.first_sequence, first), entry.shard.last_sequence) for entry in shards]
    counts = [_taken(entry, first) for entry in shards]
    left = wanted
    for (start, end), count in zip(
        reversed(spans) if newest else spans, reversed(counts) if newest else counts, strict=True
    ):
        if count >= left:
            surplus = count - left
            return (
                Stretch(first=start + surplus, last=spans[-1][1])
                if newest
                else Stretch(first=spans[0][0], last=end - surplus)
            )
        left -= count
    return Stretch(first=spans[0][0], last=spans[-1][1])


def _session(catalogue: Catalogue, request: RetrainRequest) -> tuple[str, str | None]:
    """The session to learn from, and of which instrument; two may have sessions of one name."""
    if request.session_wanted is not None:
        return request.session_wanted, request.instrument_wanted
    for entry in catalogue.datasets():
        if entry.dataset_id == request.dataset_wanted:
            return entry.session, entry.instrument
    raise HeldError(
        f"data set {request.dataset_wanted} is not in the catalogue",
        safe="nothing was trained.",
        next_step="check the name with `eucentric repository ls`.",
    )


def _material(catalogue: Catalogue, datasets: set[str]) -> str | None:
    stated = (entry.material for entry in catalogue.datasets() if entry.dataset_id in datasets)
    return next((material for material in stated if material), None)


def _wait_for_shards(
    catalogue: Catalogue,
    session: str,
    instrument: str | None,
    first: int,
    action: RetrainAction,
    say: Callable[[str], None],
) -> list[ShardEntry]:
    deadline = time.monotonic() + action.gather_timeout_s
    before = -1
    while True:
        shards = catalogue.shards(session=session, from_sequence=first, instrument=instrument)
        registered = sum(_taken(entry, first) for entry in shards)
        if registered >= action.frames:
            return shards
        state = f"{registered} of {action.frames} frames of session {session} from {first} on are registered"
        if time.monotonic() > deadline:
            raise NotEnoughFramesError(
                f"After {action.gather_timeout_s:g} s only {state}.",
                safe="nothing was trained; the model in service keeps serving.",
                next_step="see whether the agent ships and the repository registers, then resume the run.",
                registered=registered,
                wanted=action.frames,
            )
        if registered != before:
            say(state)
            before = registered
        time.sleep(_POLL_S)


def _taken(entry: ShardEntry, first: int) -> int:
    # A shard may hold earlier frames as well, and numbers may be missing in it.
    shard = entry.shard
    return min(shard.frames, shard.last_sequence - max(shard.first_sequence, first) + 1)


def _overlaps(entry: ShardEntry, stretch: Stretch) -> bool:
    return entry.shard.first_sequence <= stretch.last and entry.shard.last_sequence >= stretch.first


def _data(files: Mapping[str, tuple[Path, ...]]) -> RecipeData:
    from eucentric_hpc.recipes import RecipeData

    return RecipeData(files=dict(files))
