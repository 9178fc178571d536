"""Where the page gets its facts: one registry for all viewers of a site's models."""

from __future__ import annotations

import threading
from collections import OrderedDict

from eucentric_core import Settings, TrustedKeys
from eucentric_model_registry import Moved, Registry, Seen, move_champion

from ..._per_site import PerSite
from ..._shared_reading import SharedReading
from ._evidence import Evidence, read_evidence
from ._facts import ModelFacts
from ._signatures import SignatureChecks

__all__ = ["ModelSource", "source_of"]

_FRESH_S = 2.0
_TIMEOUT_S = 5
_MOST_MODELS = 64
_KEPT_EVIDENCE = 8


class ModelSource:
    """The models of one site.

    Args:
        settings: of the site.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._readings: dict[str, SharedReading[ModelFacts]] = {}
        self._evidence: OrderedDict[tuple[str, int], Evidence] = OrderedDict()
        self.signatures = SignatureChecks(self._registry)

    def facts(self, model: str) -> SharedReading[ModelFacts]:
        """What is known of a model; shared by all who look at it."""
        with self._lock:
            if model not in self._readings:
                while len(self._readings) >= _MOST_MODELS:
                    self._readings.pop(next(iter(self._readings)))
                self._readings[model] = SharedReading(lambda: self._read(model), fresh_s=_FRESH_S)
            return self._readings[model]

    def page(self, model: str, version: int) -> bytes | None:
        """The page on which a version was judged, HTML; None if there is none.

        Raises:
            UnknownVersionError: there is no such version.
            RegistryUnavailableError: MLflow does not answer.
        """
        return self._registry().evidence_page(model, version)

    def evidence(self, model: str, version: int) -> Evidence | None:
        """Texts and images of that page. Of the last few versions they are kept; raises like `page`."""
        key = (model, version)
        with self._lock:
            if key in self._evidence:
                self._evidence.move_to_end(key)
                return self._evidence[key]
        page = self.page(model, version)
        if page is None:
            return None
        found = read_evidence(page)
        with self._lock:
            self._evidence[key] = found
            while len(self._evidence) > _KEPT_EVIDENCE:
                self._evidence.popitem(last=False)
        return found

    def move(self, model: str, version: int, *, reason: str, who: str, seen: Seen) -> Moved:
        """Make a version champion; see `eucentric_model_registry.move_champion` for what it raises."""
        try:
            return move_champion(
                self._settings, self._registry(), model, version, reason=reason, who=who, seen=seen
            )
        finally:
            self.facts(model).forget()

    def _read(self, model: str) -> ModelFacts:
        registry = self._registry()
        return ModelFacts(
            name=model,
            versions=registry.versions(model),
            promotions=registry.history(model),
            deployments=registry.deployments.history(model),
            names=registry.names(),
        )

    def _registry(self) -> Registry:
        # Keys are read anew each time: they may be rotated while the dashboard runs.
        trusted = TrustedKeys.read(self._settings.trusted_keys_path)
        return Registry(self._settings.hub.mlflow_url, trusted, timeout_s=_TIMEOUT_S)


source_of = PerSite(ModelSource, key=lambda settings: (settings.home, settings.hub.mlflow_url))
