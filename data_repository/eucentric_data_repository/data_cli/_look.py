"""Looking: `ls`, `search`, `show`, `provenance`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from pydantic import ValidationError

from eucentric_core import ConfigurationError, DatasetManifest, clear_errors, explain_problem

from .._entries import DatasetDetails, DatasetEntry, SearchResult
from .._search import DatasetOrder, SearchQuery
from ._completeness import completeness
from ._options import AsJson, Config, DatasetId, Root, open_for_reading, print_json
from ._ranges import QUANTITY_OPTIONS, parse_range, parse_time

__all__ = ["dataset_lines", "list_datasets", "print_datasets", "provenance", "search", "show"]

_Limit = Annotated[int, typer.Option("--limit", min=1, max=1000, help="Most data sets to list.")]
_Offset = Annotated[int, typer.Option("--offset", min=0, help="How many to leave out first.")]
_Order = Annotated[DatasetOrder, typer.Option("--order", help="newest, oldest, name or largest.")]
_Range = str | None
_PLAIN_WIDTH = 10_000


def print_datasets(datasets: tuple[DatasetEntry, ...]) -> None:
    """A table of data sets; their names, which are typed again, are never cut or wrapped."""
    from rich import box
    from rich.console import Console
    from rich.table import Column, Table

    numbers = [Column(name, justify="right", no_wrap=True) for name in ("frames", "MiB")]
    table = Table(
        Column("data set", no_wrap=True, min_width=max((len(d.dataset_id) for d in datasets), default=0)),
        Column("material", overflow="fold"),
        *numbers,
        Column("state", overflow="fold"),
        Column("acquired (UTC)", no_wrap=True),
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for dataset in datasets:
        began = dataset.first_acquired_utc or dataset.first_registered_utc
        states = [dataset.state, "SIMULATED" if dataset.simulated else ""]
        states += [f"{dataset.missing} missing"] if dataset.missing else []
        states += [f"{dataset.pruned} shards pruned"] if dataset.pruned else []
        table.add_row(
            dataset.dataset_id,
            dataset.material or "-",
            str(dataset.frames),
            f"{dataset.size_bytes / 2**20:.1f}",
            ", ".join(filter(None, states)),
            f"{began:%Y-%m-%d %H:%M}",
        )
    console = Console()
    # Of a pipe nobody knows how wide it is, and who reads it wants whole words.
    width = _PLAIN_WIDTH
    if console.is_terminal:
        # A line that is too long is the terminal's to break: then it is still one line to copy.
        needed = Console(width=_PLAIN_WIDTH).measure(table).minimum
        width = max(console.width, needed)
    Console(width=width).print(table, crop=False)


def _print_page(result: SearchResult, as_json: bool) -> None:
    if as_json:
        print_json(result)
        return
    if not result.total:
        typer.echo("no data set found")
        return
    print_datasets(result.datasets)
    shown = len(result.datasets)
    if shown < result.total:
        typer.echo(f"{result.offset + 1 if shown else 0} to {result.offset + shown} of {result.total}")


def list_datasets(
    config: Config = None,
    root: Root = None,
    as_json: AsJson = False,
    limit: _Limit = 50,
    offset: _Offset = 0,
    order: _Order = "newest",
) -> None:
    """List the data sets."""
    with clear_errors():
        query = SearchQuery(limit=limit, offset=offset, order=order)
        with open_for_reading(config, root) as catalogue:
            _print_page(catalogue.search(query), as_json)


def search(
    config: Config = None,
    root: Root = None,
    as_json: AsJson = False,
    limit: _Limit = 50,
    offset: _Offset = 0,
    order: _Order = "newest",
    sample: Annotated[str | None, typer.Option(help="Exact name.")] = None,
    material: Annotated[str | None, typer.Option(help="Exact name.")] = None,
    instrument: Annotated[str | None, typer.Option(help="Exact name.")] = None,
    session: Annotated[str | None, typer.Option(help="Exact name.")] = None,
    operator: Annotated[str | None, typer.Option(help="As the site's metadata have it.")] = None,
    stream: Annotated[str | None, typer.Option(help="Has such a stream, e.g. haadf.")] = None,
    software: Annotated[str | None, typer.Option(help="Part of what recorded it.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Has this tag; may be repeated.")] = None,
    text: Annotated[str | None, typer.Option(help="In names, tags, notes and metadata.")] = None,
    since: Annotated[str | None, typer.Option(help="Acquired at this day or time (UTC), or later.")] = None,
    until: Annotated[str | None, typer.Option(help="Acquired before this day or time (UTC).")] = None,
    simulated: Annotated[bool | None, typer.Option("--simulated/--measured")] = None,
    state: Annotated[Literal["open", "complete"] | None, typer.Option(help="open or complete.")] = None,
    pixel_size_pm: Annotated[_Range, typer.Option(help="Number or range, e.g. 5..20.")] = None,
    high_tension_kv: Annotated[_Range, typer.Option(help="Number or range.")] = None,
    beam_current_pa: Annotated[_Range, typer.Option(help="Number or range.")] = None,
    convergence_angle_mrad: Annotated[_Range, typer.Option(help="Number or range.")] = None,
    defocus_nm: Annotated[_Range, typer.Option(help="Number or range.")] = None,
    field_of_view_nm: Annotated[_Range, typer.Option(help="Number or range.")] = None,
    dwell_time_us: Annotated[_Range, typer.Option(help="Number or range.")] = None,
    dose_e_per_a2: Annotated[_Range, typer.Option(help="Of one frame; number or range.")] = None,
) -> None:
    """Find data sets; everything that is given must fit."""
    given = {
        "pixel_size_pm": pixel_size_pm,
        "high_tension_kv": high_tension_kv,
        "beam_current_pa": beam_current_pa,
        "convergence_angle_mrad": convergence_angle_mrad,
        "defocus_nm": defocus_nm,
        "field_of_view_nm": field_of_view_nm,
        "dwell_time_us": dwell_time_us,
        "dose_e_per_a2": dose_e_per_a2,
    }
    with clear_errors():
        query = _query(
            sample=sample,
            material=material,
            instrument=instrument,
            session=session,
            operator=operator,
            stream=stream,
            software=software,
            tags=tuple(tag or ()),
            text=text,
            since=parse_time("--since", since),
            until=parse_time("--until", until),
            simulated=simulated,
            state=state,
            quantities={
                QUANTITY_OPTIONS[option][0]: parse_range(option, value)
                for option, value in given.items()
                if value is not None
            },
            order=order,
            limit=limit,
            offset=offset,
        )
        with open_for_reading(config, root) as catalogue:
            _print_page(catalogue.search(query), as_json)


def _query(**given: object) -> SearchQuery:
    try:
        return SearchQuery.model_validate(given)
    except ValidationError as error:
        raise ConfigurationError(
            "; ".join(explain_problem(dict(problem)) for problem in error.errors()) + ".",
            safe="nothing was searched.",
            next_step="`eucentric data search --help` says what can be given.",
        ) from error


def show(dataset_id: DatasetId, config: Config = None, root: Root = None, as_json: AsJson = False) -> None:
    """Everything that is known of one data set."""
    with clear_errors(), open_for_reading(config, root) as catalogue:
        details = catalogue.dataset(dataset_id)
        manifest = catalogue.manifest(dataset_id)
    if as_json:
        print_json(details)
    else:
        typer.echo("\n".join(dataset_lines(details, manifest)))


def dataset_lines(details: DatasetDetails, manifest: DatasetManifest | None) -> list[str]:
    """Everything that is known of a data set, for people; all but the first line are indented."""
    entry = details.entry
    pruned = f", {entry.pruned} of them pruned" if entry.pruned else ""
    lines = [
        f"{entry.dataset_id}{' SIMULATED' if entry.simulated else ''} ({entry.state})",
        f"  instrument {entry.instrument}, session {entry.session}, sample {entry.sample or '-'}, "
        f"material {entry.material or '-'}, operator {entry.operator or '-'}",
        f"  {entry.frames} frames ({entry.missing} missing) in {entry.shards} shards{pruned}, "
        f"{entry.size_bytes / 2**20:.1f} MiB",
        *(f"  {lack}" for lack in completeness(entry, manifest)),
    ]
    if entry.first_acquired_utc is not None and entry.last_acquired_utc is not None:
        lines.append(
            f"  acquired {entry.first_acquired_utc:%Y-%m-%d %H:%M:%S} to "
            f"{entry.last_acquired_utc:%Y-%m-%d %H:%M:%S} UTC"
        )
    for stream in details.streams:
        size = " x ".join(map(str, stream.shape))
        varying = "" if stream.uniform else " at most"
        lines.append(f"  stream {stream.stream}: {stream.frames} frames,{varying} {size} {stream.dtype}")
    options = {quantity: (option, unit) for option, (quantity, unit) in QUANTITY_OPTIONS.items()}
    for found in details.quantities:
        option, unit = options[found.name]
        ends = sorted({f"{found.minimum / unit:g}", f"{found.maximum / unit:g}"}, key=float)
        lines.append(f"  {option} {' to '.join(ends)}")
    lines += [f"  recorded with {software}" for software in details.software]
    if entry.tags:
        lines.append(f"  tags: {', '.join(entry.tags)}")
    lines += [f"  note by {note.by}, {note.at_utc:%Y-%m-%d}: {note.text}" for note in details.notes]
    if details.annotation is not None:
        lines += [f"  metadata {key}: {value}" for key, value in sorted(details.annotation.document.items())]
    if details.hold is not None:
        lines.append(f"  held by {details.hold.by}: {details.hold.why}")
    return lines


def provenance(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A data set, run:ID or model:NAME/VERSION.")],
    config: Config = None,
    root: Root = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print W3C PROV-JSON.")] = False,
    mermaid: Annotated[Path | None, typer.Option(help="Write a Mermaid picture to this file.")] = None,
    shards: Annotated[bool, typer.Option("--shards", help="Every shard by itself.")] = False,
) -> None:
    """Where something comes from and what was made of it."""
    from .._provenance import trace
    from .._provenance_views import provenance_mermaid, provenance_prov, provenance_tree

    with clear_errors(), open_for_reading(config, root) as catalogue:
        graph = trace(catalogue, name, with_shards=shards)
    if mermaid is not None:
        mermaid.write_text(provenance_mermaid(graph), encoding="utf-8")
    if as_json:
        print_json(provenance_prov(graph))
    else:
        typer.echo("\n".join(provenance_tree(graph)))
