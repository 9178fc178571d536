"""The page on which a person reads why a challenger was accepted or rejected; one HTML file."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from eucentric_models import ModelsError

from ._figures import Figure, Figures
from ._judge import Verdict

if TYPE_CHECKING:
    from eucentric_models.engines import EngineModel

    from ._behaviour import Sample

__all__ = ["PageHeader", "SideBySide", "comparison_page", "side_by_side"]

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:78rem;margin:2rem auto;padding:0 1rem;color:#1d2530}
h1{font-size:1.5rem;margin-bottom:.2rem}h2{font-size:1.15rem;margin-top:2rem}
.verdict{padding:.7rem 1rem;border-left:.4rem solid;border-radius:.2rem;background:#f4f6f8}
.yes{border-color:#1a7f4b}.no{border-color:#b3261e}
table{border-collapse:collapse;width:100%}
td,th{text-align:left;padding:.25rem .7rem;border-bottom:1px solid #dde3ea}
.number{text-align:right;font-variant-numeric:tabular-nums}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:1rem;margin:1rem 0}
figure{margin:0}img{width:100%;image-rendering:auto}figcaption{font-size:.9rem;color:#4a5868}
.failed{color:#b3261e;font-weight:600}.passed{color:#1a7f4b}
"""


@dataclass(frozen=True, slots=True)
class PageHeader:
    """What stands above the evidence.

    Attributes:
        model: name of the model.
        challenger: for example `v7`.
        champion: for example `v6`; None before the first one.
        lines: where the challenger comes from, one fact each.
    """

    model: str
    challenger: str
    champion: str | None
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SideBySide:
    """One image as both models see it.

    Attributes:
        title: what the image is.
        champion: PNG; None before the first champion.
        challenger: PNG.
        champion_says: one sentence.
        challenger_says: one sentence.
    """

    title: str
    challenger: bytes
    challenger_says: str
    champion: bytes | None = None
    champion_says: str = ""


def side_by_side(
    samples: Sequence[Sample], challenger: EngineModel, champion: EngineModel | None
) -> tuple[SideBySide, ...]:
    """Draw what both models find in the same images.

    Args:
        samples: images and pixel sizes.
        challenger: the model that was judged.
        champion: the model in production, if there is one.
    """
    drawn = []
    for index, sample in enumerate(samples):
        new, new_says = _drawn(challenger, sample, "challenger")
        old, old_says = (None, "") if champion is None else _drawn(champion, sample, "champion")
        shape = " x ".join(map(str, sample[0].shape))
        size = "pixel size unknown" if sample[1] is None else f"{sample[1] * 1e12:.3g} pm per pixel"
        drawn.append(
            SideBySide(f"held-out image {index + 1}, {shape} px, {size}", new, new_says, old, old_says)
        )
    return tuple(drawn)


def comparison_page(
    header: PageHeader,
    verdict: Verdict,
    challenger: Figures,
    champion: Figures | None,
    pairs: Sequence[SideBySide] = (),
) -> str:
    """The page, HTML. Everything from outside is escaped; pictures are part of it.

    Args:
        header: what stands above.
        verdict: the decision and every gate.
        challenger: its figures.
        champion: figures of the model in production.
        pairs: the same images as both see them.
    """
    against = "no champion" if header.champion is None else f"champion {header.champion}"
    title = f"{header.model}: challenger {header.challenger} against {against}"
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width,initial-scale=1'>",
        "<meta http-equiv=Content-Security-Policy "
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">",
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        f"<h1>{escape(title)}</h1>",
        f"<p class='verdict {'yes' if verdict.accepted else 'no'}'>{escape(verdict.sentence)}</p>",
        *(f"<div>{escape(line)}</div>" for line in header.lines),
        "<h2>Gates</h2>",
        _gates(verdict),
        "<h2>Figures</h2>",
        _figures(challenger, champion),
    ]
    if pairs:
        parts += ["<h2>The same images</h2>", *map(_pair, pairs)]
    return "\n".join(parts) + "\n"


def _gates(verdict: Verdict) -> str:
    rows = "".join(
        f"<tr><td class={word}>{word}</td><td>{escape(check.name)}</td><td>{escape(check.sentence)}</td></tr>"
        for check in verdict.checks
        for word in ("passed" if check.passed else "failed",)
    )
    return f"<table><tr><th></th><th>gate</th><th>in words</th></tr>{rows}</table>"


def _figures(challenger: Figures, champion: Figures | None) -> str:
    rows = []
    for holdout in sorted({*challenger.holdouts, *(champion.holdouts if champion else ())}):
        new, old = (
            challenger.holdouts.get(holdout, {}),
            champion.holdouts.get(holdout, {}) if champion else {},
        )
        for name in sorted({*new, *old}):
            rows.append(
                f"<tr><td>{escape(holdout)}</td><td>{escape(name)}</td>"
                f"<td class=number>{_said(old.get(name))}</td><td class=number>{_said(new.get(name))}</td>"
                f"<td class=number>{_support(new.get(name))}</td></tr>"
            )
    return (
        "<table><tr><th>set</th><th>figure</th><th class=number>champion</th>"
        "<th class=number>challenger</th><th class=number>examples</th></tr>"
        f"{''.join(rows)}</table>"
    )


def _said(figure: Figure | None) -> str:
    return "" if figure is None else escape(figure.said)


def _support(figure: Figure | None) -> str:
    return "" if figure is None or figure.support is None else str(figure.support)


def _pair(pair: SideBySide) -> str:
    old = (
        "<figure><figcaption>no champion</figcaption></figure>"
        if pair.champion is None
        else _picture(pair.champion, pair.champion_says)
    )
    new = _picture(pair.challenger, pair.challenger_says)
    return f"<h3>{escape(pair.title)}</h3><div class=pair>{old}{new}</div>"


def _picture(png: bytes, says: str) -> str:
    data = base64.b64encode(png).decode()
    alt = escape(says, quote=True)
    return (
        f'<figure><img alt="{alt}" src="data:image/png;base64,{data}"><figcaption>{alt}</figcaption></figure>'
    )


def _drawn(model: EngineModel, sample: Sample, who: str) -> tuple[bytes, str]:
    from eucentric_models.pictures import draw_result

    image, pixel_size_m = sample
    try:
        result = model.apply(image, pixel_size_m=pixel_size_m)
    except ModelsError as error:
        return b"", f"{who}: refused this image: {error.what}"
    picture = draw_result(image, result, pixel_size_m=pixel_size_m, caption=who)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    count = result.summary().get("count")
    drift = result.drift_score
    says = f"{who}: {count} found" if count is not None else who
    return buffer.getvalue(), says if drift is None else f"{says}, drift score {drift:.2f}"
