"""RO-Crate 1.1: what is in the package and how it belongs together, as linked data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ._citation import Citation, Creator
from ._datacite import licence_url
from ._source import Source

__all__ = ["CrateFile", "crate_metadata"]


@dataclass(frozen=True, slots=True)
class CrateFile:
    """A file of a package; its name is its path below the root."""

    name: str
    sha256: str
    size_bytes: int
    media_type: str
    about: str


def crate_metadata(
    source: Source, citation: Citation, files: Sequence[CrateFile], *, collected: tuple[str, str]
) -> dict[str, Any]:
    """The content of `ro-crate-metadata.json`.

    Args:
        source: the data set.
        citation: what it is cited as.
        files: everything in the package but this and the list of checksums.
        collected: first and last time of acquisition (ISO 8601).
    """
    from rocrate.model.contextentity import ContextEntity
    from rocrate.rocrate import ROCrate

    dataset = source.dataset
    crate = ROCrate(version="1.1")
    root = crate.root_dataset
    licence = crate.add(
        ContextEntity(
            crate, licence_url(citation), properties={"@type": "CreativeWork", "name": citation.licence}
        )
    )
    publisher = crate.add(
        ContextEntity(crate, "#publisher", properties={"@type": "Organization", "name": citation.publisher})
    )
    instrument = crate.add(
        ContextEntity(
            crate,
            f"#instrument-{dataset.instrument}",
            properties={"@type": "IndividualProduct", "name": dataset.instrument},
        )
    )
    creators = [
        crate.add(_creator(crate, number, creator)) for number, creator in enumerate(citation.creators)
    ]
    facts: dict[str, Any] = {
        "name": citation.title,
        "description": _description(source, citation),
        # The package itself carries no date of its own: the same data and citation give the same bytes.
        "datePublished": citation.published or str(citation.year),
        "creator": creators,
        "publisher": publisher,
        "license": licence,
        "keywords": ", ".join([*citation.subjects, *filter(None, (dataset.material, dataset.sample))])
        or None,
        "identifier": f"https://doi.org/{citation.doi}" if citation.doi else dataset.dataset_id,
        "creditText": citation.text,
        "temporalCoverage": "/".join(collected),
        "instrument": instrument,
    }
    for name, value in facts.items():
        if value is not None:
            root[name] = value
    for file in files:
        properties = {
            "name": file.name.rpartition("/")[2],
            "encodingFormat": file.media_type,
            "contentSize": str(file.size_bytes),
            "sha256": file.sha256,
        }
        if file.about:
            properties["description"] = file.about
        crate.add_file(dest_path=file.name, properties=properties)
    generated: dict[str, Any] = crate.metadata.generate()
    return generated


def _description(source: Source, citation: Citation) -> str:
    dataset = source.dataset
    simulated = "SIMULATED: computed, not measured. " if dataset.simulated else ""
    counted = f"{dataset.frames} acquisitions in {len(source.shards)} HDF5/NeXus files."
    return f"{simulated}{citation.description or citation.title} {counted}"


def _creator(crate: Any, number: int, creator: Creator) -> Any:
    from rocrate.model.contextentity import ContextEntity

    name = f"https://orcid.org/{creator.orcid}" if creator.orcid else f"#creator-{number}"
    properties: dict[str, Any] = {
        "@type": "Organization" if creator.organisation else "Person",
        "name": creator.name,
    }
    if creator.affiliation is not None:
        where = ContextEntity(
            crate,
            f"#affiliation-{number}",
            properties={"@type": "Organization", "name": creator.affiliation},
        )
        properties["affiliation"] = {"@id": crate.add(where).id}
    return ContextEntity(crate, name, properties=properties)
