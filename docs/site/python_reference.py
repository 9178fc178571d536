"""Pages of the Python interface, from docstrings."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["PAGES", "pages"]

PAGES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "client": (
        "What a notebook imports",
        ("eucentric.scope", "eucentric.progress", "eucentric.practice", "eucentric.display"),
    ),
    "steering": (
        "Steering and the vocabulary",
        ("eucentric_core.SteeringClient", "eucentric_core.vocabulary"),
    ),
    "errors": ("Errors", ("eucentric_core._errors",)),
    "frames": (
        "Frames, data sets, events",
        ("eucentric_core._frame", "eucentric_core._shard", "eucentric_core._bundle", "eucentric_core._event"),
    ),
    "instruments": (
        "Instruments and procedures",
        (
            "eucentric_core.Instrument",
            "eucentric_core.Capabilities",
            "eucentric_agents.drivers",
            "eucentric_agents.procedures",
        ),
    ),
    "models": (
        "Models",
        ("eucentric_models.engines", "eucentric_models.fewshot", "eucentric_models.surrogate"),
    ),
    "recipes": ("Recipes", ("eucentric_hpc.recipes",)),
    "registry": ("Registry", ("eucentric_model_registry",)),
    "repository": ("Repository", ("eucentric_data_repository", "eucentric_data_repository.export")),
    "flows": ("Runs and policies", ("eucentric_flows.runs", "eucentric_flows.policy")),
}
"""Name of the page to its title and the modules or classes on it."""


def pages() -> dict[str, str]:
    """Each page as Markdown for mkdocstrings."""
    return {
        name: "\n\n".join([f"# {title}", *(f"::: {target}" for target in targets)]) + "\n"
        for name, (title, targets) in PAGES.items()
    }
