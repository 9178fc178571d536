"""DataCite 4.5 metadata as JSON, from a citation and from what the data say about themselves."""

from __future__ import annotations

from typing import Any

from ._citation import Citation, Creator
from ._source import Source

__all__ = ["datacite", "licence_url"]

_SCHEMA = "http://datacite.org/schema/kernel-4"


def licence_url(citation: Citation) -> str:
    """Where the text of the licence is."""
    return f"https://spdx.org/licenses/{citation.licence}.html"


def datacite(citation: Citation, source: Source, *, collected: tuple[str, str]) -> dict[str, Any]:
    """The record that a DOI is registered with.

    Args:
        citation: who, what, where.
        source: the data set.
        collected: first and last time of acquisition (ISO 8601).
    """
    dataset = source.dataset
    subjects = [*citation.subjects, *filter(None, (dataset.material, dataset.sample))]
    about = [(citation.description, "Abstract"), (_simulated(source), "TechnicalInfo")]
    record: dict[str, Any] = {
        "schemaVersion": _SCHEMA,
        "creators": [_creator(creator) for creator in citation.creators],
        "titles": [{"title": citation.title}],
        "publisher": {"name": citation.publisher},
        "publicationYear": str(citation.year),
        "types": {"resourceTypeGeneral": "Dataset", "resourceType": citation.resource_type},
        "subjects": [{"subject": subject} for subject in dict.fromkeys(subjects)],
        "descriptions": [{"description": text, "descriptionType": kind} for text, kind in about if text],
        "rightsList": [
            {
                "rights": citation.licence,
                "rightsUri": licence_url(citation),
                "rightsIdentifier": citation.licence,
                "rightsIdentifierScheme": "SPDX",
                "schemeUri": "https://spdx.org/licenses/",
            }
        ],
        "dates": [{"date": "/".join(dict.fromkeys(collected)), "dateType": "Collected"}],
        "alternateIdentifiers": [
            {"alternateIdentifier": dataset.dataset_id, "alternateIdentifierType": "Eucentric data set"}
        ],
        "relatedIdentifiers": [
            {"relatedIdentifier": doi, "relatedIdentifierType": "DOI", "relationType": "IsDescribedBy"}
            for doi in citation.related
        ],
        "formats": ["application/x-hdf5"],
        "sizes": [f"{dataset.frames} acquisitions", f"{dataset.size_bytes} bytes"],
    }
    if citation.published is not None:
        record["dates"].append({"date": citation.published, "dateType": "Issued"})
    if citation.doi is not None:
        record["doi"] = citation.doi
    return {name: value for name, value in record.items() if value}


def _simulated(source: Source) -> str | None:
    return "SIMULATED: these data were computed, not measured." if source.dataset.simulated else None


def _creator(creator: Creator) -> dict[str, Any]:
    record: dict[str, Any] = {
        "name": creator.name,
        "nameType": "Organizational" if creator.organisation else "Personal",
    }
    family, comma, given = creator.name.partition(",")
    if comma and not creator.organisation:
        record |= {"familyName": family.strip(), "givenName": given.strip()}
    if creator.orcid is not None:
        record["nameIdentifiers"] = [
            {
                "nameIdentifier": f"https://orcid.org/{creator.orcid}",
                "nameIdentifierScheme": "ORCID",
                "schemeUri": "https://orcid.org",
            }
        ]
    if creator.affiliation is not None:
        record["affiliation"] = [{"name": creator.affiliation}]
    return record
