"""A model's first champion, from simulated start data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from eucentric_core import ConfigurationError, Settings
from eucentric_models import DEMO_CONDITIONS, material_named

from ._active_run import carrying_out
from ._event_outbox import EventOutbox, outbox_path
from ._pipeline import Ending, Say, Site, bootstrap
from ._run_record import RunRecord, runs_path
from ._warm_executor import warm_executor
from .policy import Decision, PastRun

__all__ = ["bootstrap_model"]

_T = TypeVar("_T")


def bootstrap_model(
    settings: Settings,
    *,
    model: str,
    material: str,
    seed: int,
    members: int,
    steps: int | None,
    installing: bool,
    say: Callable[[str, str], None],
) -> Ending:
    """Train, judge, sign, register, promote and (if wanted) install version 1 of a model.

    Repeated with the same arguments it goes on where it stopped, and does nothing once it is done.

    Args:
        settings: of this machine.
        model: name of the model.
        material: what it is trained for.
        seed: of specimen, noise and training.
        members: size of the ensemble.
        steps: of each member; None for the recipe's own number.
        installing: whether the edge gets it.
        say: told the stage and what it is doing.

    Raises:
        UnknownMaterialError: nothing is known of this material.
        ConfigurationError: there is no start recipe for it.
        EucentricError: a stage failed.
    """
    from eucentric_hpc import DEMO_START_TRAINING

    material_named(material)
    if material != DEMO_CONDITIONS.material:
        raise ConfigurationError(
            f"There is no start recipe for {material}.",
            safe="nothing was trained.",
            next_step=f"choose {DEMO_CONDITIONS.material}.",
        )
    member = DEMO_START_TRAINING
    if steps is not None:
        member = type(member).model_validate({**member.model_dump(), "steps": steps})
    trigger_id = f"bootstrap-{model}-{material}-{seed}"
    outbox = EventOutbox(outbox_path(settings))
    try:
        site = Site.of(settings, outbox)
        with RunRecord(runs_path(settings)) as record:
            admission = record.admit(
                trigger_id=trigger_id,
                kind="bootstrap",
                policy=None,
                model=model,
                triggered_by="manual",
                request={"material": material, "seed": seed, "members": members, "steps": member.steps},
                decision=lambda history, now: _first_of_its_kind(site, model, trigger_id, history, now),
            )
            if admission.status in ("held", "finished"):
                view = record.run(trigger_id)
                say(admission.status, admission.reason)
                return Ending(
                    "held" if view.state == "held" else "promoted", admission.reason, view.version or 0
                )
            with carrying_out(record, trigger_id) as run:

                def run_stage(name: str, stage: Callable[[Say], _T], /) -> _T:
                    with run.stage(name) as note:

                        def both(message: str) -> None:
                            note(message)
                            say(name, message)

                        say(name, "")
                        return stage(both)

                with warm_executor(settings.hpc, settings.logs / "hpc" / trigger_id) as executor:
                    ending = bootstrap(
                        site,
                        model,
                        DEMO_CONDITIONS,
                        member,
                        trigger_id=trigger_id,
                        members=members,
                        installing=installing,
                        executor=executor,
                        run_stage=run_stage,
                    )
                run.end(ending.outcome, ending.reason, version=ending.version)
                return ending
    finally:
        outbox.close()


def _first_of_its_kind(
    site: Site, model: str, trigger_id: str, history: Sequence[PastRun], now: datetime
) -> Decision:
    champion = site.registry.champion(model)
    if champion is not None and champion.lineage.trigger_id != trigger_id:
        return Decision(fire=False, reason=f"model {model} has a champion, version {champion.version}")
    for run in history:
        if run.model == model and run.in_flight:
            return Decision(fire=False, reason=f"run {run.trigger_id} of model {model} is in flight")
    return Decision(fire=True, reason="first model")
