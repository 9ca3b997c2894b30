"""The catalogue entry of the open data, as portals harvest it: DCAT-AP.de in JSON-LD.

Vocabularies and rules: https://www.dcat-ap.de/def/dcatde/2.0/implRules/ and .../3.0/implRules/. A title names neither
place nor time (those have fields of their own); one contributor's ID; the political geocoding says which municipality
is covered; every distribution has its licence. The context is written out, so that nobody has to fetch one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from issuer.figures.open_data import Published, license_of, publisher_of
from keys.texts import LANGUAGES, texts

if TYPE_CHECKING:
    from issuer.settings import Settings

MEDIA_TYPE: Final = "application/ld+json"
_EU: Final = "http://publications.europa.eu/resource/authority"
_LEVELS: Final = "http://dcat-ap.de/def/politicalGeocoding/Level"
# The level that each list of keys stands for; a district key here is a city's that belongs to no district.
_LEVEL_OF: Final = {
    "municipalityKey": "municipality",
    "regionalKey": "municipality",
    "districtKey": "administrativeDistrict",
}
_CONTEXT: Final = {
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "dcatde": "http://dcat-ap.de/def/dcatde/",
    "dcatap": "http://data.europa.eu/r5r/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "vcard": "http://www.w3.org/2006/vcard/ns#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
# File name, type in the EU's list, media type.
_FILES: Final = (("permits.csv", "CSV", "text/csv"), ("permits.json", "JSON", "application/json"))
_LANGUAGE_CODES: Final = {"de": "DEU", "en": "ENG"}


def is_complete(settings: Settings) -> bool:
    """Whether the settings have what DCAT-AP.de asks of an entry."""
    return bool(settings.open_data_contributor and settings.open_data_geocoding)


def as_json_ld(found: Published, settings: Settings) -> bytes:
    """The catalogue with its one data set, UTF-8. Raises ValueError unless `is_complete`."""
    if not is_complete(settings):
        raise ValueError("without contributor and political geocoding there is no entry")
    here = f"{settings.base_url}/open-data"
    publisher = {
        "@id": f"{here}#publisher",
        "@type": "foaf:Organization",
        "foaf:name": publisher_of(settings),
    }
    catalogue = {
        "@context": _CONTEXT,
        "@id": f"{here}#catalogue",
        "@type": "dcat:Catalog",
        "dct:title": _texts("OPEN_DATA_CATALOGUE_TITLE"),
        "dct:description": _texts("OPEN_DATA_CATALOGUE_TEXT"),
        "dct:publisher": publisher,
        "dct:language": [_id(f"{_EU}/language/{code}") for code in _LANGUAGE_CODES.values()],
        "dcat:themeTaxonomy": _id(f"{_EU}/data-theme"),
        "foaf:homepage": _id(here),
        **_modified(found),
        "dcat:dataset": _data_set(found, settings, here),
    }
    return msgspec.json.encode(catalogue) + b"\n"


def _data_set(found: Published, settings: Settings, here: str) -> dict[str, Any]:
    kind = settings.open_data_geocoding.split("/")[-2]
    made: dict[str, Any] = {
        "@id": f"{here}#permits",
        "@type": "dcat:Dataset",
        "dct:identifier": f"{here}#permits",
        "dct:title": _texts("OPEN_DATA_SET_TITLE"),
        "dct:description": _texts("OPEN_DATA_SET_TEXT", threshold=settings.open_data_threshold),
        "dct:publisher": _id(f"{here}#publisher"),
        "dcatde:contributorID": _id(settings.open_data_contributor),
        "dcatde:politicalGeocodingURI": _id(settings.open_data_geocoding),
        "dcatde:politicalGeocodingLevelURI": _id(f"{_LEVELS}/{_LEVEL_OF[kind]}"),
        "dcat:theme": [_id(f"{_EU}/data-theme/{code}") for code in ("TRAN", "GOVE")],
        "dcat:keyword": [
            {"@value": word.strip(), "@language": language}
            for language in LANGUAGES
            for word in texts("issuer", language)("OPEN_DATA_KEYWORDS").split(",")
        ],
        "dcat:landingPage": _id(here),
        "dct:accrualPeriodicity": _id(f"{_EU}/frequency/MONTHLY"),
        "dct:accessRights": _id(f"{_EU}/access-right/PUBLIC"),
        **_modified(found),
        "dcat:distribution": [_distribution(found, settings, here, *file) for file in _FILES],
    }
    if found.months:
        made["dct:temporal"] = {
            "@type": "dct:PeriodOfTime",
            "dcat:startDate": _date(found.months[0].as_of.isoformat()),
            "dcat:endDate": _date(found.months[-1].as_of.isoformat()),
        }
    if settings.open_data_mail:
        made["dcat:contactPoint"] = {
            "@id": f"{here}#contact",
            "@type": "vcard:Organization",
            "vcard:fn": publisher_of(settings),
            "vcard:hasEmail": _id(f"mailto:{settings.open_data_mail}"),
        }
    return made


def _distribution(
    found: Published, settings: Settings, here: str, name: str, code: str, media_type: str
) -> dict[str, Any]:
    made = {
        "@id": f"{here}#{name}",
        "@type": "dcat:Distribution",
        "dct:title": _texts(f"OPEN_DATA_FILE_{code}"),
        "dct:description": _texts("OPEN_DATA_FILE_TEXT"),
        "dcat:accessURL": _id(f"{here}/{name}"),
        "dcat:downloadURL": _id(f"{here}/{name}"),
        "dct:format": _id(f"{_EU}/file-type/{code}"),
        "dcat:mediaType": _id(f"https://www.iana.org/assignments/media-types/{media_type}"),
        "dct:license": _id(license_of(settings)),
        "dcatap:availability": _id(f"{_EU}/planned-availability/AVAILABLE"),
        **_modified(found),
    }
    if settings.open_data_license.startswith("dl-by"):
        made["dcatde:licenseAttributionByText"] = publisher_of(settings)
    return made


def _modified(found: Published) -> dict[str, Any]:
    if found.modified is None:
        return {}
    value = found.modified.isoformat(timespec="seconds")
    return {"dct:modified": {"@value": value, "@type": "xsd:dateTime"}}


def _texts(code: str, **values: object) -> list[dict[str, str]]:
    return [
        {"@value": texts("issuer", language)(code, **values), "@language": language} for language in LANGUAGES
    ]


def _id(uri: str) -> dict[str, str]:
    return {"@id": uri}


def _date(day: str) -> dict[str, str]:
    return {"@value": day, "@type": "xsd:date"}
