"""`eucentric data prune`: what the retention rules let go, and, if told so, letting it go."""

from __future__ import annotations

from typing import Annotated

import typer

from eucentric_core import clear_errors

from ._archives import archive_opener
from ._options import AsJson, Config, Root, bar, open_for_reading, print_json, read_settings

__all__ = ["prune"]


def prune(
    config: Config = None,
    root: Root = None,
    delete: Annotated[
        bool, typer.Option("--delete/--dry-run", help="Delete; without it only what would be, and why.")
    ] = False,
    kept: Annotated[bool, typer.Option("--kept", help="Say of every shard that is kept why.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete shards that the site's retention rules no longer keep (a dry run unless --delete is given).

    Never deleted: what is open, unreceipted, held, referenced by a run, a model or an export, or lacks the
    copies its rule asks for. Hash and provenance of a deleted shard stay in the catalogue.
    """
    from .._prune import prune as go_through

    with clear_errors(), open_for_reading(config, root) as catalogue, bar("prune") as progress:
        settings = read_settings(config, root)
        repository = settings.repository
        findings = []
        progress.total(len(catalogue.shards()))
        for finding in go_through(
            catalogue,
            repository.retention,
            repository.archives,
            archive_opener(settings),
            dry_run=not delete,
        ):
            progress.add(1)
            findings.append(finding)
    going = [finding for finding in findings if finding.delete]
    freed = sum(finding.size_bytes for finding in going)
    if as_json:
        print_json(
            {
                "dry_run": not delete,
                "shards": len(findings),
                "deletable": len(going),
                "deleted": sum(finding.deleted for finding in findings),
                "size_bytes": freed,
                "findings": [finding.model_dump(mode="json") for finding in (findings if kept else going)],
            }
        )
        return
    for finding in findings if kept else going:
        what = "deleted" if finding.deleted else "would delete" if finding.delete else "keeps"
        rule = f" (rule {finding.rule!r})" if finding.rule else ""
        typer.echo(f"{what} {finding.dataset_id}/{finding.file_name}: {finding.why}{rule}")
    verb = "deleted" if delete else "would be deleted (--delete does it)"
    typer.echo(f"{len(going)} of {len(findings)} shards, {freed / 2**20:.1f} MiB, {verb}")
