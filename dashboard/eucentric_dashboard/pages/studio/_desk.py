"""What one person has open in the studio: image, labels, the support set they began with, and the map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from types import MappingProxyType

from eucentric_core import Identifier
from eucentric_model_registry.support_sets import NamedClass, NewSupportSet, SupportSetRecord

from ...chips import Grid, LabelError, MappedFrame, MapRequest, StudioImage
from ._history import History
from ._labels import AddClass, LabelEvent, Labelling, RemoveClass
from ._loaded import LoadedSet, labelling_of

__all__ = ["Desk", "Work"]


@dataclass(frozen=True)
class Work:
    """What a map is computed of; equal work has an equal map.

    Attributes:
        image: that is open.
        labelling: of it.
        loaded: where kept chips are from.
    """

    image: StudioImage
    labelling: Labelling
    loaded: LoadedSet | None

    def request(self) -> MapRequest:
        """As it is computed."""
        labelling = self.labelling
        names = {one.key: one.name for one in labelling.classes}
        return MapRequest(
            image=self.image.array,
            pixel_size_m=self.image.pixel_size_m,
            side_px=labelling.grid.side_px,
            offset_px=labelling.grid.offset_px,
            chosen=labelling.chosen(),
            earlier=None if self.loaded is None else self.loaded.content,
            kept=None if self.loaded is None else {i: names[key] for i, key in labelling.kept.items()},
        )


class Desk:
    """State of one page, without anything to look at. Not thread-safe: the page's own loop uses it.

    Attributes:
        image: that is open; None before the first.
        loaded: a support set whose chips of other images are kept.
        record: the saved version that this work began with.
        current: key of the class that clicks give.
        mapped: the newest map, and what it was computed of.
    """

    def __init__(self) -> None:
        self.image: StudioImage | None = None
        self.loaded: LoadedSet | None = None
        self.record: SupportSetRecord | None = None
        self.current = 1
        self.mapped: tuple[Work, MappedFrame] | None = None
        self._history: History | None = None
        self._listeners: list[Callable[[], None]] = []

    def on_change(self, listener: Callable[[], None]) -> None:
        """Be told of every change."""
        self._listeners.append(listener)

    @property
    def labelling(self) -> Labelling | None:
        """Labels at present; None before the first image."""
        return None if self._history is None else self._history.now

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to go back."""
        return self._history is not None and bool(self._history.before)

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to do again."""
        return self._history is not None and bool(self._history.after)

    @property
    def work(self) -> Work | None:
        """What can be mapped; None while something is missing."""
        if self.image is None or self._history is None or self._history.now.needs:
            return None
        return Work(self.image, self._history.now, self.loaded)

    @property
    def map_is_current(self) -> bool:
        """Whether the map is of what is labelled now."""
        return self.mapped is not None and self.mapped[0] == self.work

    def open_image(self, image: StudioImage) -> int:
        """Open another image. Chips that were labelled are kept, if they made a support set.

        Returns:
            How many labels were left behind, because they were too few to make one.
        """
        before = 0 if self._history is None else len(self._history.now.chips)
        work = self.work
        if work is not None and self.mapped is not None and self.map_is_current:
            from ._loaded import read_loaded

            self.loaded = read_loaded(self.mapped[1].support)
        if self.loaded is not None:
            labelling = labelling_of(self.loaded, image, None)
            if self._history is not None:
                labelling = _recoloured(labelling, self._history.now)
        else:
            labelling = _on(image, self.labelling)
        self.image = image
        self._begin(labelling)
        return before if self.loaded is None else 0

    def load(self, loaded: LoadedSet, image: StudioImage, record: SupportSetRecord | None) -> None:
        """Open a support set over an image."""
        self.loaded, self.image, self.record = loaded, image, record
        self._begin(labelling_of(loaded, image, record))

    def start_anew(self) -> None:
        """Forget all labels, keep the image."""
        self.loaded = self.record = None
        if self.image is not None:
            self._begin(Labelling(Grid.of(self.image.shape_px, self.image.pixel_size_m)))

    def set_pixel_size(self, pixel_size_m: float | None) -> None:
        """Say how large pixels are.

        Raises:
            ImageUnreadableError: none are as large.
        """
        if self.image is None or self._history is None or pixel_size_m == self.image.pixel_size_m:
            return
        self.image = self.image.with_pixel_size(pixel_size_m)
        now = self._history.now
        self._begin(replace(now, grid=replace(now.grid, pixel_size_m=pixel_size_m)))

    def do(self, event: LabelEvent) -> None:
        """Label, or change classes or the grid.

        Raises:
            LabelError: it cannot be; nothing has changed.
        """
        if self._history is None:
            return
        known = {one.key for one in self._history.now.classes}
        self._history = self._history.done(event)
        keys = [one.key for one in self._history.now.classes]
        if isinstance(event, AddClass):
            self.current = next(key for key in keys if key not in known)
        if isinstance(event, RemoveClass) and self.current not in keys:
            self.current = keys[0] if keys else 1
        self._changed()

    def choose(self, key: int) -> None:
        """Choose the class that clicks give; a key without a class changes nothing."""
        if self.labelling is not None and any(one.key == key for one in self.labelling.classes):
            self.current = key
            self._changed()

    def undo(self) -> None:
        """One step back."""
        if self._history is not None:
            self._history = self._history.undone()
            self._changed()

    def redo(self) -> None:
        """One step forward again."""
        if self._history is not None:
            self._history = self._history.redone()
            self._changed()

    def take_map(self, work: Work, mapped: MappedFrame) -> None:
        """A map was computed; shown until there is a newer one."""
        self.mapped = (work, mapped)
        self._changed()

    def saved(self, record: SupportSetRecord) -> None:
        """It was saved: this is where further work begins."""
        self.record = record
        self._changed()

    def to_save(self, *, name: Identifier, author: str, notes: str) -> tuple[NewSupportSet, bytes]:
        """What would be saved now, and its content.

        Raises:
            LabelError: there is no map of what is labelled now.
        """
        if self.mapped is None or not self.map_is_current:
            needs = () if self.labelling is None else self.labelling.needs
            raise LabelError(
                "There is nothing to save yet: "
                + (needs[0] if needs else "the map is still being computed."),
                safe="what you labelled is on the page.",
                next_step="label what is missing, or wait a moment, and save again.",
            )
        work, mapped = self.mapped
        labelling, image = work.labelling, work.image
        counts = labelling.counts
        new = NewSupportSet(
            name=name,
            author=author,
            notes=notes,
            classes=tuple(
                NamedClass(key=one.key, name=one.name, colour=one.colour, chips=counts[one.key])
                for one in labelling.used
            ),
            chip_px=labelling.grid.side_px,
            offset_px=labelling.grid.offset_px,
            pixel_size_m=image.pixel_size_m,
            image=image.origin,
            based_on=self.record.version if self.record is not None and self.record.name == name else None,
        )
        return new, mapped.support

    def _begin(self, labelling: Labelling) -> None:
        self._history = History(labelling)
        keys = [one.key for one in labelling.classes]
        if self.current not in keys:
            self.current = keys[0] if keys else 1
        self._changed()

    def _changed(self) -> None:
        for listener in self._listeners:
            listener()


def _on(image: StudioImage, before: Labelling | None) -> Labelling:
    """An unlabelled image, with the classes and the size of chips that there were."""
    if before is None:
        return Labelling(Grid.of(image.shape_px, image.pixel_size_m))
    side = before.grid.side_px
    if before.grid.pixel_size_m is not None and image.pixel_size_m is not None:
        side = round(side * before.grid.pixel_size_m / image.pixel_size_m)
    return Labelling(Grid.of(image.shape_px, image.pixel_size_m, side_px=side), before.classes)


def _recoloured(labelling: Labelling, before: Labelling) -> Labelling:
    """With the keys and colours that the classes had before."""
    keys = {
        one.key: next((b.key for b in before.classes if b.name == one.name), None)
        for one in labelling.classes
    }
    if None in keys.values():
        return labelling
    new = {old: key for old, key in keys.items() if key is not None}
    return replace(
        labelling,
        classes=before.classes,
        chips=MappingProxyType({place: new[key] for place, key in labelling.chips.items()}),
        kept=MappingProxyType({index: new[key] for index, key in labelling.kept.items()}),
    )
