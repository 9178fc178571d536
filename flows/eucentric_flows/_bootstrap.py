"""A model's first champion, from simulated start data."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from eucentric_core import ConfigurationError, Settings
from eucentric_model_registry import RegisteredVersion
from eucentric_models import DEMO_CONDITIONS, NetworkSpec, StartConditions, start_material_named

from ._event_outbox import EventOutbox, outbox_path
from ._first_training import bootstrap
from ._pipeline import Ending, Say, Site
from ._warm_executor import warm_executor
from .policy import Decision, PastRun
from .runs import RunRecord, carrying_out, runs_path

__all__ = ["bootstrap_model", "start_conditions"]

_T = TypeVar("_T")


def bootstrap_model(
    settings: Settings,
    *,
    model: str,
    conditions: StartConditions,
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
        conditions: what it is trained for.
        seed: of specimen, noise and training.
        members: size of the ensemble.
        steps: of each member; None for the recipe's own number.
        installing: whether the edge gets it.
        say: told the stage and what it is doing.

    Raises:
        UnknownMaterialError: nothing is known of the material.
        EucentricError: a stage failed.
    """
    from eucentric_hpc import start_training

    start_material_named(conditions.material)
    member = start_training(conditions)
    if steps is not None:
        member = type(member).model_validate({**member.model_dump(), "steps": steps})
    digest = hashlib.sha256(conditions.model_dump_json().encode()).hexdigest()[:8]
    trigger_id = f"bootstrap-{model}-{conditions.material}-{digest}-{seed}"
    outbox = EventOutbox(outbox_path(settings))
    try:
        site = Site.of(settings, outbox)
        # Asked before the decision, which is a transaction: nobody is kept waiting by a slow registry.
        champion = site.registry.champion(model)
        with RunRecord(runs_path(settings)) as record:
            admission = record.admit(
                trigger_id=trigger_id,
                kind="bootstrap",
                policy=None,
                model=model,
                triggered_by="manual",
                request={
                    "conditions": conditions.model_dump(mode="json"),
                    "seed": seed,
                    "members": members,
                    "steps": member.steps,
                },
                decision=lambda history, _now: _first_of_its_kind(champion, model, trigger_id, history),
            )
            if admission.status in ("held", "finished"):
                view = record.run(trigger_id)
                say(admission.status, admission.reason)
                known = view.state if view.state in ("promoted", "rejected") else "held"
                return Ending(known, admission.reason, view.version or 0)
            with carrying_out(record, trigger_id) as run:

                def run_stage(name: str, stage: Callable[[Say], _T], /) -> _T:
                    with run.stage(name) as note:

                        def both(message: str) -> None:
                            note(message)
                            say(name, message)

                        say(name, "")
                        return stage(both)

                with warm_executor(settings, settings.logs / "hpc" / trigger_id) as executor:
                    ending = bootstrap(
                        site,
                        model,
                        conditions,
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


def start_conditions(material: str, file: Path | None) -> StartConditions:
    """Start conditions from a file, or those of the demonstration for another material.

    Raises:
        UnknownMaterialError: nothing is known of the material.
        ConfigurationError: the file does not hold start conditions.
    """
    if file is None:
        classes = start_material_named(material).detectable_classes
        network = {**DEMO_CONDITIONS.network.model_dump(), "n_classes": len(classes)}
        known = {name: getattr(DEMO_CONDITIONS, name) for name in StartConditions.model_fields}
        return StartConditions(**{**known, "material": material, "network": NetworkSpec(**network)})
    try:
        return StartConditions.model_validate_json(file.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{file} does not hold start conditions: {error}.",
            safe="nothing was trained.",
            next_step="write them with StartConditions.model_dump_json().",
        ) from error


def _first_of_its_kind(
    champion: RegisteredVersion | None, model: str, trigger_id: str, history: Sequence[PastRun]
) -> Decision:
    if champion is not None and champion.lineage.trigger_id != trigger_id:
        return Decision(fire=False, reason=f"model {model} has a champion, version {champion.version}")
    for run in history:
        if run.model == model and run.in_flight:
            return Decision(fire=False, reason=f"run {run.trigger_id} of model {model} is in flight")
    return Decision(fire=True, reason="first model")
