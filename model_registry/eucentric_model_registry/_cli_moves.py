"""`eucentric models promote|rollback|verify|export|import`: every move is explained and signed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError

from eucentric_core import ConfigurationError, TrustedKeys, clear_errors, load_settings

from ._cli_options import Catalogue, Config, Json, Model, Which, open_catalogue, person

if TYPE_CHECKING:
    from ._registered import RegisteredVersion

__all__ = ["moves_app"]

moves_app = typer.Typer()

_BEFORE = "previous"
_Reason = Annotated[str, typer.Option("--reason", help="Why; it stays in the history.")]


@moves_app.command("promote")
def promote(
    reason: _Reason,
    which: Which = "challenger",
    config: Config = None,
    model: Model = None,
    as_json: Json = False,
) -> None:
    """Make a version champion, sign its release and tell the edge."""
    with clear_errors():
        _move(open_catalogue(config, model), which, reason, as_json)


@moves_app.command("rollback")
def rollback(
    reason: _Reason,
    which: Which = _BEFORE,
    config: Config = None,
    model: Model = None,
    as_json: Json = False,
) -> None:
    """Go back to an older version by a new signed release, and tell the edge.

    Where MLflow does not answer or other people have to sign, and no version is named, the edges go back one
    step by themselves.
    """
    from ._errors import RegistryUnavailableError, SignaturesMissingError
    from ._step_back import step_back_at_edges

    with clear_errors():
        catalogue = open_catalogue(config, model)
        moving = False
        try:
            _require_older(catalogue, which)
            moving = True
            _move(catalogue, which, reason, as_json)
        except (RegistryUnavailableError, SignaturesMissingError) as error:
            # Signatures are asked for before anything moves. But once MLflow has answered, edges may have the
            # new release, and a step back would be one forward.
            if which != _BEFORE or (moving and isinstance(error, RegistryUnavailableError)):
                raise
            raise step_back_at_edges(catalogue.settings, reason, error) from error


def _require_older(catalogue: Catalogue, which: str) -> None:
    champion = catalogue.registry.champion(catalogue.name)
    wanted = catalogue.version(which)
    if champion is not None and wanted.version >= champion.version:
        raise ConfigurationError(
            f"Version {wanted.version} is not older than the champion, version {champion.version}.",
            safe="nothing was changed.",
            next_step="name an older version, or use `eucentric models promote`.",
        )


def _move(catalogue: Catalogue, which: str, reason: str, as_json: bool) -> None:
    from ._moving import move_champion

    version = catalogue.version(which)
    moved = move_champion(
        catalogue.settings,
        catalogue.registry,
        catalogue.name,
        version.version,
        reason=reason,
        who=person(),
        again=True,
    )
    if as_json:
        facts = {
            "promotion": moved.promotion.model_dump(mode="json"),
            "release": None if moved.release is None else moved.release.model_dump(mode="json"),
            "deployment": moved.deployment.model_dump(mode="json"),
        }
        typer.echo(json.dumps(facts))
        return
    typer.echo(f"champion      {catalogue.name} v{version.version}")
    if moved.release is not None:
        typer.echo(f"release       {moved.release.number}, signed under root {moved.release.root_version}")
    typer.echo(f"edge          {moved.deployment.sentence}")


@moves_app.command("verify")
def verify(
    which: Annotated[
        str, typer.Argument(help="A version, an alias, or the folder of a bundle.")
    ] = "champion",
    config: Config = None,
    model: Model = None,
    as_json: Json = False,
) -> None:
    """Check a version from end to end: signature, release, every file, and its golden answers."""
    from ._checking import verify_folder, verify_registered

    with clear_errors():
        folder = Path(which)
        if folder.is_dir():
            settings = load_settings(config)
            report = verify_folder(folder, TrustedKeys.read(settings.trusted_keys_path))
        else:
            catalogue = open_catalogue(config, model)
            version = catalogue.version(which)
            report = verify_registered(
                catalogue.settings, catalogue.registry, catalogue.name, version.version
            )
    if as_json:
        typer.echo(report.model_dump_json())
        return
    typer.echo(f"{report.name} v{report.version}")
    for line in report.checked:
        typer.echo(f"  ok  {line}")
    for line in report.notes:
        typer.echo(f"  --  {line}")


@moves_app.command("export")
def export(
    to: Annotated[Path, typer.Option("--to", help="Folder that is made.")],
    which: Which = "champion",
    config: Config = None,
    model: Model = None,
    as_json: Json = False,
) -> None:
    """Write a bundle to a folder; the released one with the signed metadata, for an edge without network."""
    from ._carrying import export_version

    with clear_errors():
        catalogue = open_catalogue(config, model)
        version = catalogue.version(which)
        exported = export_version(catalogue.settings, catalogue.registry, catalogue.name, version.version, to)
    if as_json:
        typer.echo(exported.model_dump_json())
        return
    typer.echo(f"bundle        {exported.bundle}")
    typer.echo(
        f"releases      {exported.releases} (name it as edge.releases)"
        if exported.releases is not None
        else "releases      none: this version is not the released one, and only the registry takes it"
    )


@moves_app.command("import")
def import_bundle(
    source: Annotated[
        Path, typer.Argument(help="Folder of a bundle, or an .onnx graph of pixel-wise classes.")
    ],
    config: Config = None,
    model: Model = None,
    as_json: Json = False,
    resign: Annotated[
        bool,
        typer.Option("--resign", help="Vouch for it: sign it anew with this site's key and next version."),
    ] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why it is taken in; part of its lineage.")] = "",
    sha256: Annotated[
        str | None, typer.Option("--sha256", help="Hash of a bundle's manifest that you know from elsewhere.")
    ] = None,
    classes: Annotated[str, typer.Option("--classes", help="Of a graph: names, separated by commas.")] = "",
    frames: Annotated[
        Path | None, typer.Option("--frames", help="Of a graph: folder of 10 or more usual frames (.npy).")
    ] = None,
    activation: Annotated[str, typer.Option(help="Of a graph: none, sigmoid or softmax.")] = "softmax",
    background: Annotated[
        int | None, typer.Option(help="Of a graph: the class that stands for nothing.")
    ] = None,
    size_multiple: Annotated[int, typer.Option(help="Of a graph: what sides are padded to.")] = 8,
    threshold: Annotated[float, typer.Option(help="Of a graph: share from which a peak counts.")] = 0.5,
    material: Annotated[str, typer.Option(help="Of a graph: what it was trained for.")] = "any",
) -> None:
    """Register a bundle or a graph from elsewhere. A bundle that no trusted key signed needs --resign."""
    from ._carrying import import_folder

    with clear_errors():
        catalogue = open_catalogue(config, model)
        if source.suffix == ".onnx":
            registered = _import_graph(
                catalogue,
                source,
                {"activation": activation, "background": background, "size_multiple": size_multiple},
                classes=tuple(name.strip() for name in classes.split(",") if name.strip()),
                frames=frames,
                threshold=threshold,
                material=material,
                reason=reason,
            )
        else:
            registered = import_folder(
                catalogue.settings,
                catalogue.registry,
                catalogue.name,
                source,
                resign=resign,
                reason=reason,
                who=person(),
                expected_sha256=sha256,
            )
    if as_json:
        typer.echo(registered.model_dump_json())
        return
    typer.echo(f"registered    {registered.name} v{registered.version} ({', '.join(registered.aliases)})")
    typer.echo(f"next          eucentric models promote v{registered.version} --reason …")


def _import_graph(
    catalogue: Catalogue,
    path: Path,
    parameters: dict[str, Any],
    *,
    classes: tuple[str, ...],
    frames: Path | None,
    threshold: float,
    material: str,
    reason: str,
) -> RegisteredVersion:
    from eucentric_models import Decoding
    from eucentric_models.engines._segmentation import SegmentationParameters

    from ._external import ExternalGraph, import_graph

    if not classes or frames is None or not path.is_file():
        raise ConfigurationError(
            f"{path} needs names of its classes and frames that are usual for it.",
            safe="nothing was registered.",
            next_step="give --classes NAME,NAME and --frames FOLDER (10 or more .npy).",
        )
    try:
        graph = ExternalGraph(
            path,
            classes,
            frames,
            SegmentationParameters.model_validate(parameters),
            Decoding(threshold=threshold),
            material,
        )
    except ValidationError as error:
        raise ConfigurationError(
            f"The options of the graph cannot be used: {error}.",
            safe="nothing was registered.",
            next_step="see `eucentric models import --help`.",
        ) from error
    return import_graph(
        catalogue.settings, catalogue.registry, catalogue.name, graph, reason=reason, who=person()
    )
