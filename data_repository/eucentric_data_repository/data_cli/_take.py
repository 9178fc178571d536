"""Taking out: `get`, `verify`, `export`, `copy`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from eucentric_core import UnsupportedError, clear_errors, sha256_file

from ._options import AsJson, Config, DatasetId, Root, bar, open_for_reading, print_json, read_settings

__all__ = ["copy", "export", "get", "verify"]

_Stream = Annotated[list[str] | None, typer.Option("--stream", help="Only this stream; may be repeated.")]
_First = Annotated[int | None, typer.Option("--from", min=0, help="First sequence number.")]
_Last = Annotated[int | None, typer.Option("--to", min=0, help="Last sequence number.")]


def get(
    dataset_id: DatasetId,
    folder: Annotated[Path, typer.Argument(help="Where to copy it; made if missing.")] = Path(),
    config: Config = None,
    root: Root = None,
    stream: _Stream = None,
    first: _First = None,
    last: _Last = None,
    as_json: AsJson = False,
) -> None:
    """Copy a data set to a folder, hashes checked; again, to go on where it was interrupted.

    With --from and --to, whole shards are copied; with --stream, shards are written that hold nothing else.
    """
    from .._get import Selection, fetch_dataset

    selection = Selection(streams=tuple(stream or ()), from_sequence=first, to_sequence=last)
    with clear_errors(), open_for_reading(config, root) as catalogue, bar("get", in_bytes=True) as progress:
        files = fetch_dataset(
            catalogue, dataset_id, folder, selection, on_start=progress.total, on_bytes=progress.add
        )
        facts = [{"file": str(path), "sha256": sha256_file(path)} for path in files] if as_json else []
    if as_json:
        print_json({"files": facts})
    else:
        typer.echo(f"{len(files)} files in {folder / dataset_id}")


def verify(
    dataset_id: Annotated[str | None, typer.Argument(metavar="[DATASET]", help="All, if left out.")] = None,
    config: Config = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Hash registered shards again; exit status 1 if one is not as it was registered."""
    from .._verify import verify_shards

    with (
        clear_errors(),
        open_for_reading(config, root) as catalogue,
        bar("verify", in_bytes=True) as progress,
    ):
        if dataset_id is not None:
            catalogue.dataset(dataset_id)
        progress.total(sum(entry.shard.size_bytes for entry in catalogue.shards(dataset_id=dataset_id)))
        findings = []
        for finding in verify_shards(catalogue, dataset_id=dataset_id):
            progress.add(finding.size_bytes)
            findings.append(finding)
    bad = [finding for finding in findings if not finding.is_well]
    pruned = sum(finding.state == "pruned" for finding in findings)
    if as_json:
        print_json(
            {
                "shards": len(findings),
                "pruned": pruned,
                "bad": [finding.model_dump(mode="json") for finding in bad],
            }
        )
    else:
        for finding in bad:
            typer.echo(f"{finding.state}: {finding.dataset_id}/{finding.file_name}\n  {finding.next_step}")
        intact = len(findings) - len(bad) - pruned
        typer.echo(f"{intact} of {len(findings)} shards intact" + (f", {pruned} pruned" if pruned else ""))
    if bad:
        raise typer.Exit(1)


def export(
    dataset_id: DatasetId,
    destination: Annotated[Path, typer.Argument(help="Folder to put it in; made if missing.")],
    form: Annotated[
        Literal["ome-zarr", "ro-crate", "hdf5"],
        typer.Option("--format", help="ome-zarr, ro-crate, or hdf5 (the shards as they are)."),
    ],
    config: Config = None,
    root: Root = None,
    citation: Annotated[
        Path | None, typer.Option(help="TOML file that says how the package is cited (ro-crate).")
    ] = None,
    title: Annotated[str | None, typer.Option(help="Title of the package (ro-crate).")] = None,
    publisher: Annotated[str | None, typer.Option(help="Who publishes it (ro-crate).")] = None,
    year: Annotated[int | None, typer.Option(help="Year of publication (ro-crate).")] = None,
    licence: Annotated[str | None, typer.Option(help="SPDX name, e.g. CC-BY-4.0 (ro-crate).")] = None,
    link: Annotated[bool, typer.Option("--link", help="Hard-link the shards (ro-crate).")] = False,
) -> None:
    """Write a data set as OME-Zarr for viewers, or as a citable RO-Crate for an archive.

    A crate is noted in the provenance: its data set is kept from then on.
    """
    if form == "hdf5":
        get(dataset_id, destination, config, root)
        return
    from .._lineage import LineageRecorder

    try:
        from ..export import export_crate, export_ome_zarr, read_citation
    except ModuleNotFoundError as error:
        with clear_errors():
            raise UnsupportedError(
                f"Exporting needs {error.name}, which is not installed on this machine.",
                safe="nothing was written.",
                next_step="pip install 'eucentric[export]'",
            ) from error
    with clear_errors(), open_for_reading(config, root) as catalogue, bar("export") as progress:
        if form == "ome-zarr":
            made = export_ome_zarr(catalogue, dataset_id, destination, progress=progress.at)
        else:
            given = read_citation(citation, title=title, publisher=publisher, year=year, licence=licence)
            made = export_crate(
                catalogue, dataset_id, destination, citation=given, link=link, progress=progress.at
            )
            with LineageRecorder(catalogue.database) as lineage:
                lineage.record_export(dataset_id, form=form, where=given.doi or str(made.absolute()))
    typer.echo(str(made))


def copy(
    dataset_id: DatasetId,
    address: Annotated[str, typer.Argument(help="Archive: a folder, s3://bucket/prefix, globus://...")],
    config: Config = None,
    root: Root = None,
) -> None:
    """Copy a data set to an archive and remember the copies whose hashes were confirmed there."""
    from .._copies import copy_dataset
    from ._archives import archive_opener

    with clear_errors(), open_for_reading(config, root) as catalogue, bar("copy") as progress:
        settings = read_settings(config, root)
        count = copy_dataset(catalogue, dataset_id, address, archive_opener(settings), progress=progress.at)
    typer.echo(f"{count} shards confirmed in {address}")
    if address not in settings.repository.archives:
        typer.echo("not in repository.archives: retention rules will not count these copies", err=True)
