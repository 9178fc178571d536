"""One demo from the first check to the report."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from rich.console import Console

from eucentric_core import ConfigurationError, SteeringClient, connect
from eucentric_data_repository import Catalogue
from eucentric_flows import runs_path

from ._loop_watch import LoopWatch
from ._measure import headline, measure
from ._observer import Observer
from ._picture import draw
from ._progress import Progress
from ._replay_story import ReplayStory
from ._report import DemoReport
from ._site import Site, prepare_site
from ._stack import Stack
from ._story import DemoOptions, PhaseBook, Story
from ._twin_story import TwinStory

__all__ = ["run_demo"]

_STORIES: dict[str, Callable[[DemoOptions], Story]] = {"twin": TwinStory, "replay": ReplayStory}
# Bounds for a machine that is busy with other work: nothing is judged by how long it took.
_BOOTSTRAP_TIMEOUT_S = 900.0
_RUN_TIMEOUT_S = 900.0
_REGISTER_TIMEOUT_S = 120.0
_LOOK_PERIOD_S = 1.0


def _check(options: DemoOptions) -> None:
    if options.instrument not in _STORIES:
        raise ConfigurationError(
            f"There is no instrument {options.instrument!r} for the demo.",
            safe="nothing was started.",
            next_step=f"choose one of {', '.join(_STORIES)}.",
        )
    if not options.picture.parent.is_dir():
        raise ConfigurationError(
            f"The folder {options.picture.parent} for the picture does not exist.",
            safe="nothing was started.",
            next_step="make it, or choose another place with --picture.",
        )


def run_demo(options: DemoOptions, *, console: Console, show: Callable[[DemoReport], None]) -> DemoReport:
    """Run the loop once and measure it.

    Args:
        options: what was asked for.
        console: for progress.
        show: told the report as soon as it is there; with `keep` everything runs on after that.

    Raises:
        ConfigurationError: bad options or settings; nothing was started.
        OutOfSpaceError: too little room; nothing was started.
        EucentricError: a stage failed; everything that was started is stopped.
    """
    _check(options)
    story = _STORIES[options.instrument](options)
    site = prepare_site(options.home, config=options.config, flags=story.settings(), policy=story.policy())
    progress = Progress(console)
    with Stack(site) as stack:
        _start(site, stack, story, progress)
        report = _play(site, stack, story, options, progress)
        show(report)
        if options.keep:
            _wait_for_interrupt(site, progress)
    return report


def _start(site: Site, stack: Stack, story: Story, progress: Progress) -> None:
    with progress.stage("start", "Prefect, MLflow, repository, agent, edge, flows and dashboard"):
        stack.start_servers()
        stack.start_service("repository", "eucentric_data_repository")
        stack.start_service("agent", "eucentric_agents")
        stack.start_service("edge", "eucentric_edge")
        stack.start_service("flows", "eucentric_flows")
        stack.start_service("dashboard", "eucentric_dashboard")
    dashboard = site.settings.dashboard
    progress.say(f"  watch it live: http://{dashboard.host}:{dashboard.port}")
    with progress.stage("champion", "the first model is trained on simulated frames, signed and installed"):
        arguments = ("bootstrap", "--config", str(site.config), *story.bootstrap(site.home))
        stack.run("bootstrap", "eucentric_flows", arguments, timeout_s=_BOOTSTRAP_TIMEOUT_S)


def _play(site: Site, stack: Stack, story: Story, options: DemoOptions, progress: Progress) -> DemoReport:
    settings = site.settings
    observer = Observer(settings)
    scope = connect(settings.agent.host, settings.agent.control_port, client="demo")
    try:
        observer.start()
        book = PhaseBook(observer, stack)
        watch = LoopWatch(runs_path(settings), stack, progress)
        with scope.control(reason="eucentric demo"):
            with stack.tending(_carrying_on(story, scope, progress)):
                story.unsettle(scope, book, progress)
                run = watch.wait_triggered(timeout_s=story.trigger_timeout_s, required=story.trigger_required)
                if run is not None:
                    run = watch.follow(run, timeout_s=_RUN_TIMEOUT_S)
                if run is not None and run.state == "promoted" and run.version is not None:
                    story.recover(scope, book, progress, run.version)
            published = _end_session(scope)
        with progress.stage("close", "the last shards arrive and the data set is closed"):
            recorded = _wait_registered(site, stack, story.session)
        answers = observer.answers
        report = measure(
            options=options,
            simulated=scope.capabilities.simulated,
            run=run,
            phases=book.phases,
            answers=answers,
            frames_published=published,
            frames_recorded=recorded,
            stages=progress.stages,
            total_s=progress.total_s,
        )
        draw(
            options.picture,
            title=headline(report),
            snapshots=book.snapshots,
            answers=answers,
            marks=book.marks,
        )
        return report
    finally:
        scope.close()
        observer.close()


def _carrying_on(story: Story, scope: SteeringClient, progress: Progress) -> Callable[[], None]:
    """Looks once a second whether the agent has stopped the scan, as an operator would see it. Told once."""
    looked_s, told = time.monotonic(), False

    def look() -> None:
        nonlocal looked_s, told
        if time.monotonic() - looked_s < _LOOK_PERIOD_S:
            return
        looked_s = time.monotonic()
        if story.carry_on(scope) and not told:
            told = True
            progress.say(
                "  the agent did not hear of this demo for seconds, and made the instrument safe: it scans "
                "on, and will when that happens again"
            )

    return look


def _end_session(scope: SteeringClient) -> int:
    scope.abort_scan()
    if "beam.blank" in scope.capabilities.verbs:
        scope.blank()
    published = scope.state().next_sequence
    scope.stop_session()
    return published


def _wait_registered(site: Site, stack: Stack, session: str) -> int:
    """Wait until the data set is closed in the catalogue and count its acquisitions."""
    root = site.settings.repository.root
    if root is None:
        raise ConfigurationError(
            "The data repository has no folder.", safe="nothing was lost.", next_step="set repository.root."
        )
    with Catalogue(root / "catalogue.sqlite") as catalogue:
        stack.wait_until(
            lambda: any(d.session == session and d.state == "complete" for d in catalogue.datasets()),
            what="the data set is complete in the catalogue",
            timeout_s=_REGISTER_TIMEOUT_S,
        )
        return catalogue.count(session=session)


def _wait_for_interrupt(site: Site, progress: Progress) -> None:
    hub, dashboard = site.settings.hub, site.settings.dashboard
    progress.say(f"dashboard http://{dashboard.host}:{dashboard.port}")
    progress.say(f"Prefect   {hub.prefect_api_url.removesuffix('/api')}")
    progress.say(f"MLflow    {hub.mlflow_url}")
    progress.say(f"settings  {site.config}")
    progress.say("Everything keeps running until Ctrl-C.")
    threading.Event().wait()
