"""A summary in sentences."""

from __future__ import annotations

from typing import Any

__all__ = ["sentences_of"]


def sentences_of(summary: dict[str, Any]) -> list[str]:
    """What a person wants to know first: what was found, with what, and what is doubtful."""
    model = summary["model"]
    vouched = "signed" if model["signed"] else "not signed"
    size = (
        "no pixel size"
        if summary["pixel_size_pm"] is None
        else f"{summary['pixel_size_pm']:.4g} pm per pixel ({summary['pixel_size_from']})"
    )
    lines = [
        f"{model['name']} v{model['version']} ({model['origin']}, {vouched}) on {summary['input']}, {size}"
    ]
    if "counts" in summary:
        found = ", ".join(f"{count} {name}" for name, count in summary["counts"].items()) or "nothing"
        images = "" if summary["images"] == 1 else f" in {summary['images']} images"
        lines.append(f"found: {found}{images}")
    if summary.get("mean_uncertainty") is not None:
        lines.append(f"mean uncertainty: {summary['mean_uncertainty']:.3f}")
    if summary["drift_score"] is not None:
        lines.append(f"drift score: {summary['drift_score']:.2f} (above 1: unlike what the model knows)")
    lines += [f"unsure: {sentence}" for sentence in summary["unsure"][:8]]
    if (more := len(summary["unsure"]) - 8) > 0:
        lines.append(f"unsure: … and {more} more, see the summary")
    pictures = summary["pictures"]
    lines.append(f"written to {summary['output']}: {summary['table']}, {len(pictures)} picture(s), summary")
    return lines
