"""What was written by an earlier version is read by this one, and written back as it was.

`golden/<thing>.v<schema version>.json` holds every field of every model that passes between machines.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from eucentric_core import (
    BundleManifest,
    Capabilities,
    CommandEnvelope,
    DatasetManifest,
    ErrorReport,
    Event,
    FrameHeader,
    FrozenModel,
    LeaseGrant,
    LeaseStatus,
    Receipt,
    ResultHeader,
    SentDocument,
    Shard,
    TrustedKeys,
    parse_event,
)
from eucentric_core.vocabulary import (
    COMMANDS,
    CommandResult,
    Done,
    FrameReference,
    InstrumentState,
    MoveReport,
    OpticsReport,
    StreamReport,
    VectorReport,
)

FOLDER = Path(__file__).with_name("golden")

MODELS: dict[str, type[FrozenModel]] = {
    "bundle_manifest": BundleManifest,
    "capabilities": Capabilities,
    "dataset_manifest": DatasetManifest,
    "error_report": ErrorReport,
    "frame_header": FrameHeader,
    "frame_reference": FrameReference,
    "instrument_state": InstrumentState,
    "lease_grant": LeaseGrant,
    "lease_status": LeaseStatus,
    "move_report": MoveReport,
    "optics_report": OpticsReport,
    "receipt": Receipt,
    "result_header": ResultHeader,
    "sent_document": SentDocument,
    "shard": Shard,
    "stream_report": StreamReport,
    "trusted_keys": TrustedKeys,
    "vector_report": VectorReport,
}

HINT = (
    "The schema has changed. Machines and files of the old version exist: restore the field, or raise "
    "`schema_version`, keep this file readable and add one of the new version beside it."
)


def read(path: Path) -> BaseModel:
    """Today's model of a golden file."""
    thing = path.name.rsplit(".v", 1)[0]
    text = path.read_text(encoding="utf-8")
    if thing.startswith("event."):
        return parse_event(text)
    model = CommandEnvelope if thing.startswith("command.") else MODELS[thing]
    return model.model_validate_json(text)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_an_old_file_is_read_and_written_back_as_it_was(path: Path) -> None:
    try:
        written = json.loads(read(path).model_dump_json())
    except ValueError as error:
        pytest.fail(f"{path.name} is no longer read: {error}\n{HINT}")
    assert written == json.loads(path.read_text(encoding="utf-8")), HINT


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_an_old_file_shows_every_field_in_use(path: Path) -> None:
    # Only then would a changed type or bound be noticed.
    empty = {
        key for key, value in json.loads(path.read_text(encoding="utf-8")).items() if value in (None, [], {})
    }
    assert empty == set()


def things() -> Iterator[str]:
    """Everything that must have a golden file."""
    yield from MODELS
    yield from (f"command.{verb}" for verb in COMMANDS)
    yield from (
        f"event.{kind.model_fields['kind'].default}"
        for kind in Event.__subclasses__()
        if kind.__module__.startswith("eucentric_core")
    )


def test_everything_that_crosses_a_boundary_has_a_golden_file() -> None:
    assert {path.name.rsplit(".v", 1)[0] for path in FOLDER.glob("*.json")} == set(things())
    results = {
        kind for kind in CommandResult.__subclasses__() if kind.__module__.startswith("eucentric_core")
    }
    assert results - {Done} <= set(MODELS.values())


@pytest.mark.parametrize(
    ("removed", "added"),
    [("size_bytes", {"bytes": 1}), ("size_bytes", {}), ("", {"codec": "lz4"}), ("", {"schema_version": 2})],
    ids=["renamed", "removed", "added", "other version"],
)
def test_a_changed_field_is_noticed(removed: str, added: dict[str, object]) -> None:
    fields = json.loads((FOLDER / "shard.v1.json").read_text(encoding="utf-8"))
    fields.pop(removed, None)
    with pytest.raises(ValueError, match="Shard"):
        Shard.model_validate_json(json.dumps({**fields, **added}))
