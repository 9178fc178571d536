"""The first file that somebody opens in ten years."""

from __future__ import annotations

from eucentric_core import DatasetManifest
from eucentric_transfer import ShardReader

from ._citation import Citation
from ._datacite import licence_url
from ._source import Source

__all__ = ["readme"]


def readme(source: Source, manifest: DatasetManifest, citation: Citation, collected: tuple[str, str]) -> str:
    """README.md of a package: what it is, how to cite, check and open it, and what is missing from it."""
    dataset = source.dataset
    lines = [
        f"# {citation.title}",
        "",
        *(["**SIMULATED: these data were computed, not measured.**", ""] if dataset.simulated else []),
        *([citation.description, ""] if citation.description else []),
        f"Cite as: {citation.text}",
        "",
        f"Licence: [{citation.licence}]({licence_url(citation)})",
        "",
        "| | |",
        "| --- | --- |",
        f"| data set | {dataset.dataset_id} |",
        f"| instrument | {dataset.instrument} |",
        f"| sample | {dataset.sample or 'not said'} |",
        f"| material | {dataset.material or 'not said'} |",
        f"| acquired | {collected[0]} to {collected[1]} |",
        f"| acquisitions | {dataset.frames} |",
        f"| missing | {_missing(manifest)} |",
        "",
        "## What is here",
        "",
        "| stream | frames | shape of the first | dtype | axes |",
        "| --- | --- | --- | --- | --- |",
        *_streams(source),
        "",
        "- `shards/`: HDF5 files after NeXus (NXem), compressed with Blosc2: h5py needs `import hdf5plugin`.",
        "- `dataset.json`: every file with its hash and the numbers of its acquisitions.",
        "- `datacite.json`: metadata to register a DOI with. `ro-crate-metadata.json`: the same, linked.",
        "- `manifest-sha256.txt`: `sha256sum -c manifest-sha256.txt` checks every file.",
        "",
        "## How to open it",
        "",
        "```python",
        "import h5py, hdf5plugin",
        f'file = h5py.File("shards/{source.shards[0].shard.file_name}")',
        'print(list(file["entry"]))',
        "```",
        "",
    ]
    return "\n".join(lines)


def _missing(manifest: DatasetManifest) -> str:
    numbers = manifest.missing_sequences
    if not numbers:
        return "none"
    shown = ", ".join(map(str, numbers[:20])) + (", ..." if len(numbers) > 20 else "")
    return f"{len(numbers)}: {shown}"


def _streams(source: Source) -> list[str]:
    rows: dict[str, list[str]] = {}
    counts: dict[str, int] = {}
    for entry in source.shards:
        with ShardReader(entry.path) as reader:
            for stream in reader.streams:
                headers = reader.headers(stream)
                counts[stream] = counts.get(stream, 0) + len(headers)
                first = headers[0]
                axes = ", ".join(f"{a.name} {a.scale:.6g} {a.unit}".strip() for a in first.axes) or "none"
                shape = " x ".join(map(str, first.shape)) or "number"
                rows.setdefault(stream, [shape, first.dtype, axes])
    return [f"| {name} | {counts[name]} | {' | '.join(row)} |" for name, row in sorted(rows.items())]
