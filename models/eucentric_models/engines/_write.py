"""From a draft to a plain model folder: what is shipped with the package, or tried before it is signed."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from eucentric_core import write_atomic

from ._description import MODEL_FILE, ModelDescription
from ._draft import BundleDraft
from ._errors import unusable_model
from ._golden import require_golden_answers
from ._registry import engine_named

__all__ = ["write_model_folder"]


def write_model_folder(folder: Path, draft: BundleDraft, *, name: str, version: int) -> ModelDescription:
    """Write a model folder; it appears complete, opened and tested once, or not at all.

    Args:
        folder: must not exist yet.
        draft: what a recipe handed over.
        name: of the model.
        version: its number, from 1.

    Raises:
        EngineError: the folder exists, or the model does not repeat its golden answers.
        ModelsError: the engine cannot open it.
    """
    if folder.exists():
        raise unusable_model(f"{folder} exists already.", "choose a new folder.")
    shared = set(ModelDescription.model_fields) & set(BundleDraft.model_fields)
    description = ModelDescription.model_validate(
        {"name": name, "version": version} | {field: getattr(draft, field) for field in shared}
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        for file, source in draft.files.items():
            shutil.copyfile(source, aside / file)
        write_atomic(aside / MODEL_FILE, description.model_dump_json(indent=2).encode() + b"\n")
        require_golden_answers(aside, engine_named(draft.engine).open(aside, description))
        aside.chmod(0o755)
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return description
