"""Versions of models and who made which one champion, in a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from eucentric_core import BundleManifest, Lineage

from ._card import card
from ._words import time_words

__all__ = ["bundle_card", "promotion_card", "version_card"]


class _Version(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def lineage(self) -> Lineage: ...
    @property
    def metrics(self) -> Mapping[str, float]: ...
    @property
    def registered_utc(self) -> datetime: ...
    @property
    def aliases(self) -> tuple[str, ...]: ...


class _Promotion(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def previous_version(self) -> int | None: ...
    @property
    def reason(self) -> str: ...
    @property
    def who(self) -> str: ...
    @property
    def promoted_utc(self) -> datetime: ...
    @property
    def kind(self) -> str: ...


def version_card(version: _Version) -> str:
    """A registered version as HTML."""
    rows = [
        *_lineage_rows(version.lineage),
        ("figures", _figures(version.metrics)),
        ("registered", time_words(version.registered_utc)),
    ]
    return card(f"{version.name} version {version.version}", rows, badges=version.aliases)


def bundle_card(manifest: BundleManifest) -> str:
    """The signed part of a bundle as HTML."""
    rows = [
        ("engine", manifest.engine),
        ("material", manifest.material),
        ("classes", ", ".join(manifest.classes)),
        ("members", str(len(manifest.members))),
        *_lineage_rows(manifest.lineage),
        ("figures", _figures(manifest.metrics)),
        ("may be installed until", time_words(manifest.expires_utc)),
    ]
    return card(f"{manifest.name} version {manifest.version}", rows, subtitle="bundle")


def promotion_card(promotion: _Promotion) -> str:
    """A line of the history as HTML."""
    before = "none" if promotion.previous_version is None else f"version {promotion.previous_version}"
    rows = [
        ("champion before", before),
        ("by", promotion.who),
        ("because", promotion.reason),
        ("at", time_words(promotion.promoted_utc)),
    ]
    return card(
        f"{promotion.name} version {promotion.version}", rows, subtitle=promotion.kind.replace("_", " ")
    )


def _lineage_rows(lineage: Lineage) -> list[tuple[str, str]]:
    return [
        ("trained on", ", ".join(lineage.datasets) or "nothing recorded"),
        ("wanted by", f"policy {lineage.policy}" if lineage.policy else "a person"),
        ("run", lineage.run_id),
        ("began from", lineage.trained_from or "nothing"),
    ]


def _figures(metrics: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in sorted(metrics.items())) or "none"
