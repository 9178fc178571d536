"""A policy retrains by any recipe, somebody else's too: gathered, trained, judged, signed, registered."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from eucentric_core import BundleManifest, ConfigurationError, Settings, load_settings
from eucentric_core.transport import find_free_port
from eucentric_flows import Ending, HeldError
from eucentric_flows._retraining import retrain
from eucentric_flows.catalogue._few_shot import SupportSetRequest, retraining_by_support_set
from eucentric_flows.policy import FileInput, FramesInput, RetrainAction
from eucentric_flows.stages import seed_of
from eucentric_hpc.recipes import recipe_named, recipes
from eucentric_model_registry import generate_keys
from eucentric_model_registry.support_sets import NewSupportSet, UnknownSupportSetError, support_set_store
from eucentric_models.fewshot import ChipGrid, SupportSet, cut_chips, open_encoder

from ..hpc.fewshot_case import CHIP_PX, two_textures
from .hub import Hub, running_mlflow
from .recipe_sessions import SESSIONS
from .recorded_session import register_arrays

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home = tmp_path_factory.mktemp("recipes")
    mlflow_url = f"http://127.0.0.1:{find_free_port()}"
    settings = load_settings(flags={"home": str(home), "hub": {"mlflow_url": mlflow_url}}, environment={})
    generate_keys(settings.signing_key_path, settings.trusted_keys_path)
    for name, case in SESSIONS.items():
        register_arrays(settings.repository_path, name, case.acquisitions())
        case.provide(home / "training" / f"a-{name}")
    return settings


@pytest.fixture(scope="module")
def hub(machine: Settings) -> Iterator[Hub]:
    with running_mlflow(machine), ThreadPoolExecutor(1) as threads:
        opened = Hub(machine, threads)
        yield opened
        opened.site.outbox.close()


def champion_of(hub: Hub, model: str, folder: Path) -> BundleManifest:
    """The champion's manifest, after its signature was verified."""
    champion = hub.site.registry.champion(model)
    assert champion is not None
    return hub.site.registry.download(model, champion.version, folder)


@pytest.mark.usefixtures("someone_elses_package")
class TestEveryRecipe:
    def test_every_recipe_is_tried(self) -> None:
        others = {"not-a-recipe", "not-installable"}
        # The recipe `elit` is what test_closing_the_loop.py is about.
        assert set(recipes()) - others == {*SESSIONS, "elit"}

    @pytest.mark.parametrize("name", SESSIONS)
    def test_a_first_model_and_one_version_per_trigger(self, name: str, hub: Hub, tmp_path: Path) -> None:
        case, model = SESSIONS[name], f"a-{name}"
        first = hub.retrain("first", name, case.action, model=model)
        assert (first.outcome, first.version) == ("promoted", 1), first.reason
        manifest = champion_of(hub, model, tmp_path / "champion")
        assert (manifest.engine, manifest.material) == (case.engine, "mos2")
        assert manifest.lineage.datasets == (f"microscope-1.{name}",)
        assert f"recent_{case.merit}" in manifest.metrics
        assert hub.retrain("first", name, case.action, model=model) == first
        assert hub.versions(model) == [1]

        # The same data and parameters make a model that is as good and no better.
        again = hub.retrain("again", name, _same_seed(case.action, "first"), model=model)
        assert (again.outcome, again.version) == ("rejected", 2), again.reason
        assert case.merit in again.reason
        assert champion_of(hub, model, tmp_path / "still").version == 1

    def test_another_recipe_for_a_model_in_service_is_held(self, hub: Hub) -> None:
        hub.retrain("one", "template", SESSIONS["template"].action, model="taken")
        with pytest.raises(HeldError, match="is for the engine 'template', and the recipe 'forecast' makes"):
            hub.retrain("other", "forecast", SESSIONS["forecast"].action, model="taken")

    def test_inputs_that_nobody_declared_or_knows_are_refused_before_anything_is_gathered(
        self, hub: Hub
    ) -> None:
        action = SESSIONS["template"].action
        with pytest.raises(
            ConfigurationError, match=r"is given no inputs\. It takes images: images of one shape"
        ):
            hub.retrain("none", "template", action.model_copy(update={"inputs": {}}), model="new")
        unknown = action.model_copy(update={"inputs": {"frames": FramesInput()}})
        with pytest.raises(ConfigurationError, match="has no input 'frames'"):
            hub.retrain("unknown", "template", unknown, model="new")

    def test_a_file_that_people_provide_and_a_stream_have_to_be_there(self, hub: Hub) -> None:
        action = SESSIONS["template"].action
        absent = action.model_copy(update={"inputs": {"images": FileInput(path="images")}})
        with pytest.raises(HeldError, match="images is not there, which the policy names as an input"):
            hub.retrain("no-file", "template", absent, model="new")
        with pytest.raises(HeldError, match="they hold no array of the stream 'eels'"):
            hub.retrain("no-stream", "template", SESSIONS["forecast"].action.model_copy(update={"frames": 8}))

    def test_a_support_set_of_the_studio_becomes_a_model_and_its_next_version_replaces_it(
        self, machine: Settings, hub: Hub, tmp_path: Path
    ) -> None:
        store = support_set_store(machine)
        chips = cut_chips(two_textures(rows=8), ChipGrid(chip_px=CHIP_PX))

        def save(chosen: int, based_on: int | None) -> None:
            places = {"fringes": [(row, row % 2) for row in range(chosen)]}
            places["film"] = [(row, 2 + row % 2) for row in range(chosen)]
            support = SupportSet.build(open_encoder(), chips, places)
            store.save(
                NewSupportSet(name="oxide", author="anna", classes=(), chip_px=CHIP_PX, based_on=based_on),
                support.to_json(),
            )

        def make(trigger_id: str) -> Ending:
            request = SupportSetRequest(model="studio", support_set="oxide", session="few-shot")
            wanted, action = retraining_by_support_set(machine, request, trigger_id)
            return retrain(hub.site, wanted, action, hub.executor, hub.run_stage)

        save(4, None)
        first = make("studio-1")
        assert (first.outcome, first.version) == ("promoted", 1), first.reason
        save(5, 1)
        # As good as the champion is good enough for what somebody asked for.
        second = make("studio-2")
        assert (second.outcome, second.version) == ("promoted", 2), second.reason
        manifest = champion_of(hub, "studio", tmp_path / "champion")
        assert manifest.engine == "chips"
        assert manifest.metrics["recent_agreement"] == 1.0
        missing = SupportSetRequest(model="studio", support_set="none")
        with pytest.raises(UnknownSupportSetError):
            retraining_by_support_set(machine, missing, "studio-3")


def _same_seed(action: RetrainAction, trigger_id: str) -> RetrainAction:
    if "seed" not in recipe_named(action.recipe).Parameters.model_fields:
        return action
    return action.model_copy(update={"parameters": {**action.parameters, "seed": seed_of(trigger_id)}})
