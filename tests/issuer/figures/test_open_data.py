"""Open data over HTTP: off by default, the same for everybody, cacheable, with an entry that portals can read."""

from __future__ import annotations

import csv
import io
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import httpx
import pytest
from litestar.testing import TestClient
from rdflib import RDF, Graph, Literal, Namespace, URIRef
from rdflib.namespace import DCAT, DCTERMS, FOAF, XSD
from sqlalchemy import update

from issuer.application import Application
from issuer.errors import IssuerRefusal
from issuer.figures import months
from issuer.models_figures import OpenDataCountRow
from issuer.nightly.reports import Report
from issuer.settings import Settings, checked
from passes.periods import BERLIN, berlin_day
from tests.issuer.figures.test_months import switch_on
from tests.issuer.nightly.samples import far_away
from tests.service import City
from tests.web_app import create_app

SQLITE = pytest.mark.parametrize("city", ["sqlite"], indirect=True)
CONTRIBUTOR = "http://dcat-ap.de/def/contributors/openNRW"
PLACE = "http://dcat-ap.de/def/politicalGeocoding/municipalityKey/05111000"
FILES = ("/open-data/permits.csv", "/open-data/permits.json", "/open-data/catalogue.jsonld")
DCATDE = Namespace("http://dcat-ap.de/def/dcatde/")
VCARD = Namespace("http://www.w3.org/2006/vcard/ns#")
EU = "http://publications.europa.eu/resource/authority"


@contextmanager
def anybody(application: Application) -> Iterator[Any]:
    with TestClient(create_app(application), base_url="https://stadtpass.example") as client:
        yield client


def counted(city: City, application: Application, **values: Any) -> None:
    """Two months are there."""
    far_away(application)
    switch_on(application, open_data_threshold=3, **values)
    city.clock.at = datetime(2027, 1, 1, 2, 30, tzinfo=BERLIN)
    months.run(application, Report(application, berlin_day(city.clock.at), months.NAME))


@SQLITE
def test_off_by_default(application: Application) -> None:
    with anybody(application) as client:
        for path in ("/open-data", *FILES):
            answer = client.get(path)
            assert (answer.status_code, answer.headers["cache-control"]) == (404, "no-store"), path


def test_csv_and_json_say_the_same(city: City, application: Application) -> None:
    counted(city, application)
    with anybody(application) as client:
        table = client.get("/open-data/permits.csv")
        told = client.get("/open-data/permits.json")
    assert table.headers["content-type"] == "text/csv; header=present; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(table.content.decode("utf-8"))))
    assert list(rows[0]) == [
        "month", "as_of", "level", "zone_code", "zone_name", "valid_permits", "suppressed", "threshold",
    ]  # fmt: skip
    whole = told.json()
    assert list(whole) == ["schema", "publisher", "license", "modified", "months"]
    assert whole["schema"] == 1
    assert [one["month"] for one in whole["months"]] == ["2026-12", "2027-01"]
    assert list(whole["months"][0]) == ["month", "as_of", "threshold", "valid_permits", "suppressed", "zones"]
    flat = []
    for month in whole["months"]:
        zones = [{"level": "zone", **one} for one in month["zones"]]
        city_row = {"level": "city", "zone_code": "", "zone_name": ""}
        for one in ({**city_row, **{key: month[key] for key in ("valid_permits", "suppressed")}}, *zones):
            flat.append(
                {
                    "month": month["month"],
                    "as_of": month["as_of"],
                    "level": one["level"],
                    "zone_code": one["zone_code"],
                    "zone_name": one["zone_name"],
                    "valid_permits": "" if one["valid_permits"] is None else str(one["valid_permits"]),
                    "suppressed": json.dumps(one["suppressed"]),
                    "threshold": str(month["threshold"]),
                }
            )
    assert rows == flat
    assert {one["suppressed"] for one in rows} == {"true", "false"}
    assert all((one["valid_permits"] == "") == (one["suppressed"] == "true") for one in rows)
    assert all(int(one["valid_permits"]) >= 3 for one in rows if one["valid_permits"])


@SQLITE
def test_no_cookies_and_caches_may_keep_it(city: City, application: Application) -> None:
    counted(city, application, open_data_contributor=CONTRIBUTOR, open_data_geocoding=PLACE)
    with anybody(application) as client:
        for path in ("/open-data", "/open-data?lang=en", *FILES):
            first = client.get(path)
            assert (first.status_code, first.headers["content-type"].count("charset")) == (
                200,
                first.headers["content-type"].count("text/"),
            )
            assert "set-cookie" not in first.headers
            assert first.headers["cache-control"] == "public, max-age=3600"
            again = client.get(path, headers={"if-none-match": f'"x", W/{first.headers["etag"]}'})
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["etag"] == first.headers["etag"]
            assert client.get(path, headers={"if-none-match": '"x"'}).status_code == 200
            head = client.head(path)
            assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", first.headers["etag"])
            assert client.post(path).status_code == 405
        for path in FILES:
            answer = client.get(path)
            assert answer.headers["access-control-allow-origin"] == "*"
            assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
        german = client.get("/open-data", headers={"accept-language": "de"})
        english = client.get(
            "/open-data", headers={"accept-language": "en", "cookie": "stadtpass-language=de"}
        )
        assert (german.headers["content-language"], english.headers["content-language"]) == ("de", "en")
        assert german.headers["vary"] == "Accept-Language"
        assert german.headers["etag"] != english.headers["etag"]
        assert "nicht veröffentlicht" in german.text


@SQLITE
def test_a_zone_that_is_called_like_a_formula(city: City, application: Application) -> None:
    counted(city, application)
    with application.writing() as session:
        session.execute(
            update(OpenDataCountRow).filter_by(tenant=application.tenant).values(zone_name="=HYPERLINK(1)")
        )
    with anybody(application) as client:
        assert ",'=HYPERLINK(1)," in client.get("/open-data/permits.csv").text
        assert (
            client.get("/open-data/permits.json").json()["months"][0]["zones"][0]["zone_name"]
            == "=HYPERLINK(1)"
        )


def graph(answer: httpx.Response) -> Graph:
    assert answer.headers["content-type"].startswith("application/ld+json")
    assert isinstance(answer.json()["@context"], dict), "nobody has to fetch a context"
    with warnings.catch_warnings():
        # The library's own parser still uses what the library has deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        return Graph().parse(data=answer.text, format="json-ld")


@SQLITE
def test_the_catalogue_entry_has_what_dcat_ap_de_asks_for(city: City, application: Application) -> None:
    counted(
        city, application,
        open_data_contributor=CONTRIBUTOR, open_data_geocoding=PLACE, open_data_license="dl-by-de/2.0",
        open_data_publisher="Stadt Musterstadt", open_data_mail="daten@musterstadt.example",
    )  # fmt: skip
    with anybody(application) as client:
        found = graph(client.get("/open-data/catalogue.jsonld"))
        page = client.get("/open-data").text
    (catalogue,) = found.subjects(RDF.type, DCAT.Catalog)
    (data_set,) = found.objects(catalogue, DCAT.dataset)
    assert (data_set, RDF.type, DCAT.Dataset) in found
    (publisher,) = found.objects(data_set, DCTERMS.publisher)
    assert list(found.objects(catalogue, DCTERMS.publisher)) == [publisher]
    assert (publisher, FOAF.name, Literal("Stadt Musterstadt")) in found
    for one in (catalogue, data_set):
        for text in (DCTERMS.title, DCTERMS.description):
            assert {word.language for word in found.objects(one, text)} == {"de", "en"}
    titles = " ".join(found.objects(data_set, DCTERMS.title))
    assert "Musterstadt" not in titles
    assert "202" not in titles
    assert list(found.objects(data_set, DCATDE.contributorID)) == [URIRef(CONTRIBUTOR)]
    assert list(found.objects(data_set, DCATDE.politicalGeocodingURI)) == [URIRef(PLACE)]
    assert list(found.objects(data_set, DCATDE.politicalGeocodingLevelURI)) == [
        URIRef("http://dcat-ap.de/def/politicalGeocoding/Level/municipality")
    ]
    assert URIRef(f"{EU}/data-theme/TRAN") in set(found.objects(data_set, DCAT.theme))
    assert list(found.objects(data_set, DCTERMS.accrualPeriodicity)) == [URIRef(f"{EU}/frequency/MONTHLY")]
    (modified,) = found.objects(data_set, DCTERMS.modified)
    assert modified == Literal("2027-01-01T01:30:00+00:00", datatype=XSD.dateTime)
    (period,) = found.objects(data_set, DCTERMS.temporal)
    assert (period, RDF.type, DCTERMS.PeriodOfTime) in found
    assert (period, DCAT.startDate, Literal("2026-12-01", datatype=XSD.date)) in found
    assert (period, DCAT.endDate, Literal("2027-01-01", datatype=XSD.date)) in found
    (contact,) = found.objects(data_set, DCAT.contactPoint)
    assert (contact, VCARD.hasEmail, URIRef("mailto:daten@musterstadt.example")) in found
    distributions = list(found.objects(data_set, DCAT.distribution))
    with anybody(application) as client:
        base = application_base(application)
        for one in distributions:
            assert (one, RDF.type, DCAT.Distribution) in found
            (address,) = found.objects(one, DCAT.downloadURL)
            assert list(found.objects(one, DCAT.accessURL)) == [address]
            assert client.get(str(address).removeprefix(base)).status_code == 200
            assert list(found.objects(one, DCTERMS.license)) == [
                URIRef("http://dcat-ap.de/def/licenses/dl-by-de/2.0")
            ]
            assert list(found.objects(one, DCATDE.licenseAttributionByText)) == [Literal("Stadt Musterstadt")]
    formats = {str(kind) for one in distributions for kind in found.objects(one, DCTERMS["format"])}
    assert formats == {f"{EU}/file-type/CSV", f"{EU}/file-type/JSON"}
    assert not [node for node in found.all_nodes() if isinstance(node, URIRef) and " " in node]
    assert "https://www.govdata.de/dl-de/by-2-0" in page


def application_base(application: Application) -> str:
    with application.reading() as session:
        return application.settings(session).base_url


@SQLITE
def test_no_entry_without_contributor_and_place(city: City, application: Application) -> None:
    counted(city, application, open_data_contributor=CONTRIBUTOR)
    with anybody(application) as client:
        assert client.get("/open-data/catalogue.jsonld").status_code == 404
        assert "catalogue.jsonld" not in client.get("/open-data").text
    switch_on(application, open_data_geocoding=PLACE.replace("municipalityKey/05111000", "districtKey/05111"))
    with anybody(application) as client:
        assert "Level/administrativeDistrict" in client.get("/open-data/catalogue.jsonld").text


@SQLITE
def test_before_the_first_month(application: Application) -> None:
    switch_on(application, open_data_contributor=CONTRIBUTOR, open_data_geocoding=PLACE)
    with anybody(application) as client:
        assert "Noch ist kein Monat gezählt" in client.get("/open-data").text
        assert len(client.get("/open-data/permits.csv").text.splitlines()) == 1
        assert client.get("/open-data/permits.json").json()["months"] == []
        found = graph(client.get("/open-data/catalogue.jsonld"))
    assert list(found.subjects(RDF.type, DCAT.Dataset))


@SQLITE
def test_cities_publish_for_themselves(city: City, application: Application, neighbour: Application) -> None:
    counted(city, application)
    with anybody(neighbour) as client:
        assert client.get("/open-data").status_code == 404
    switch_on(neighbour)
    with anybody(neighbour) as client:
        assert client.get("/open-data/permits.json").json()["months"] == []


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        ("open_data_from", "2027-13", "SETTING_IDENTIFIER"),
        ("open_data_contributor", "openNRW", "SETTING_IDENTIFIER"),
        ("open_data_geocoding", PLACE + "0", "SETTING_IDENTIFIER"),
        ("open_data_mail", "daten", "SETTING_MAIL"),
        ("open_data_publisher", " Stadt", "SETTING_TEXT"),
    ],
)
def test_settings_that_cannot_be(key: str, value: str, code: str) -> None:
    with pytest.raises(IssuerRefusal) as refused:
        checked(Settings(**{key: value}))
    assert refused.value.code == code
