"""Certificates as the service hands them out: who has sealed them, and what happens where nobody can."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, timedelta
from pathlib import Path

import pypdfium2
import pytest
import zxingcpp
from pypdf import PdfReader
from sqlalchemy import update

from issuer import keyring
from issuer.application import Application
from issuer.background.tasks import RetryLater
from issuer.cli import main
from issuer.errors import IssuerRefusal
from issuer.issue import IssueRequest, issue
from issuer.models import HolderRow, SigningKeyRow
from issuer.printing import making, runs
from issuer.printing.selection import Kind, Selection
from issuer.setup import DEMO_PDF_ROOT
from issuer.staff.permissions import Role
from issuer.workspace import Workspace
from keys import lifecycle as key_life
from keys.errors import KeyRefusal
from keys.lifecycle import KeyState, Purpose
from passes.seal import read_seal
from tests.issuer.api.conftest import Http, serve  # noqa: F401 - a fixture
from tests.issuer.api.office import PASSES, office_of
from tests.issuer.console.people import settle
from tests.issuer.pickup.browser import browser, visit
from tests.service import TODAY, City

# What is asked of the database here is the same on both.
pytestmark = pytest.mark.parametrize("city", ["sqlite"], indirect=True)

RESIDENCE = "residence-certificate"
NUMBER = "MB-2026-000001"
ROW = {
    "certificate_id": NUMBER,
    "holder_ref": "E-4711",
    "family_name": "Müller-Đặng",
    "given_names": "Şeyma Marie",
    "usual_given_name": "Marie",
    "doctoral_degree": "Dr.",
    "birth_date": "1984-02-29",
    "main_street": "Zum Kühlen Grunde",
    "main_house_number": "17 c",
    "main_postal_code": "40213",
    "main_city": "Düsseldorf",
    "secondary_street": "Hauptstraße",
    "secondary_house_number": "1",
    "secondary_postal_code": "50667",
    "secondary_city": "Köln",
    "valid_from": "2026-11-20",
    "valid_to": "2027-02-17",
    "status": "active",
}


# The same person in the demo city's register of residents.
RESIDENT = "Müller-Đặng;Şeyma Marie;Zum Kühlen Grunde;17 c;40213;main;1984-02-29;Dr.;;\n"

# A certificate of the city's own making, which stands for a right: permit offices and print runs know it as any pass.
OWN, OWN_NUMBER = "fishing-certificate", "F-1"
OWN_TYPE = """
id = "fishing-certificate"
seal_code = 77
stands_in_car = false
fields = [{key = "water", pdf = "large"}, {key = "number", pdf = "small"}]
[colours]
background = "#1f4e3d"
foreground = "#ffffff"
label = "#d5ebe0"
[[attributes]]
name = "water"
kind = "text"
required = true
[register]
number_column = "number"
columns = [
  {name = "number", kind = "number", required = true}, {name = "holder_ref", kind = "reference"},
  {name = "family_name", kind = "name"}, {name = "street", kind = "address"},
  {name = "water", kind = "text", attribute = "water", required = true},
  {name = "valid_from", kind = "date", required = true}, {name = "valid_to", kind = "date", required = true},
  {name = "status", kind = "choice", choices = ["active"], required = true},
]
[pdf]
documents = ["certificate"]
"""
OWN_TEXTS = """
name = "Angelbescheinigung"
description = "Bescheinigung"
[labels]
water = "Gewässer"
number = "Nummer"
[texts]
certificate_opening = "Es wird bescheinigt:"
certificate_further = "Außerdem"
"""
OWN_ROW = {
    "number": OWN_NUMBER,
    "holder_ref": "E-4712",
    "family_name": "Fischer",
    "street": "Zum Kühlen Grunde 17 c",
    "water": "Großer Weiher",
    "valid_from": "2026-11-20",
    "valid_to": "2027-02-17",
    "status": "active",
}


@pytest.fixture(autouse=True)
def resident(city: City) -> None:
    """Nobody is certified whom the register of residents does not know."""
    with (city.folder / "sources" / "residents.csv").open("a", encoding="utf-8") as residents:
        residents.write(RESIDENT)


@pytest.fixture
def application(city: City, tmp_path: Path) -> Application:
    """The service of a city that has issued a certificate of residence and one of its own making."""
    own = city.folder / "types" / OWN
    own.mkdir(parents=True)
    (own / "type.toml").write_text(OWN_TYPE)
    for language in ("de", "en"):
        (own / f"{language}.toml").write_text(OWN_TEXTS)
    with closing(Workspace.open(city.folder)) as workspace:
        issue(workspace, _request(tmp_path, city.folder / "out", ()))
        issue(workspace, _request(tmp_path, city.folder / "out", (), OWN, OWN_ROW))
    return city.open()


def _request(
    folder: Path,
    out: Path,
    carriers: tuple[()] | None,
    type_id: str = RESIDENCE,
    row: Mapping[str, str] = ROW,
) -> IssueRequest:
    file = folder / "certificates.csv"
    with file.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, row, delimiter=";")
        writer.writeheader()
        writer.writerow(row)
    return IssueRequest(type_id, file, out, TODAY, "test", carriers=carriers)


@dataclass
class Checked:
    """What OpenSSL and poppler say of a file."""

    openssl: subprocess.CompletedProcess[str]
    poppler: str
    signatures: int
    at: str


@pytest.fixture
def check(city: City, tmp_path: Path) -> Callable[[bytes], Checked]:
    def look(data: bytes) -> Checked:
        (found,) = re.finditer(rb"/ByteRange \[(\d+) (\d+) (\d+) (\d+) *\]", data)
        a, b, c, d = map(int, found.groups())
        assert (a, c + d) == (0, len(data)), "the seal covers everything"
        (tmp_path / "signed").write_bytes(data[:b] + data[c:])
        (tmp_path / "cms").write_bytes(bytes.fromhex(data[b + 1 : c - 1].decode()).rstrip(b"\0"))
        file = tmp_path / "sealed.pdf"
        file.write_bytes(data)
        openssl = subprocess.run(
            ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", tmp_path / "cms",
             "-content", tmp_path / "signed", "-CAfile", city.folder / DEMO_PDF_ROOT, "-purpose", "any",
             "-attime", str(int(city.clock().timestamp())), "-out", "/dev/null"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        poppler = ""
        if shutil.which("pdfsig") is not None:
            told = subprocess.run(
                ["pdfsig", "-nocert", file],
                capture_output=True, text=True, check=False, env={"TZ": "UTC", "PATH": "/usr/bin"},
            )  # fmt: skip
            poppler = told.stdout
        at = f"{city.clock().astimezone(UTC):%b %d %Y %H:%M:%S}"
        return Checked(openssl, poppler, data.count(b"/ByteRange"), at)

    return look


def is_sealed(found: Checked) -> None:
    assert found.openssl.returncode == 0, found.openssl.stderr
    assert found.signatures == 1
    if found.poppler:
        assert "Signature is Valid." in found.poppler, found.poppler
        assert "Total document signed" in found.poppler
        assert "TEST Stadtpass Demo Document Seal" in found.poppler
        assert found.at in found.poppler


def page(data: bytes) -> str:
    (only,) = PdfReader(io.BytesIO(data)).pages
    return " ".join(only.extract_text().split())


def says(data: bytes, *, sealed: bool) -> None:
    text = page(data)
    assert ("trägt ein elektronisches Siegel" in text) is sealed
    assert ("trägt kein elektronisches Siegel" in text) is not sealed


def fetched(application: Application) -> bytes:
    with browser(application) as client:
        visit(client, application, NUMBER, RESIDENCE)
        assert "Bescheinigung als PDF" in client.get("/p/pass").text
        answer = client.get("/p/pass/permit.pdf")
    assert answer.status_code == 200, answer.text
    return answer.content


def test_the_holder_gets_it_sealed(application: Application, check: Callable[[bytes], Checked]) -> None:
    data = fetched(application)
    is_sealed(check(data))
    says(data, sealed=True)
    assert "Müller-Đặng" in page(data)
    (picture,) = [one.render(scale=200 / 72).to_pil() for one in pypdfium2.PdfDocument(data)]
    (code,) = zxingcpp.read_barcodes(picture)
    person = read_seal(code.text).content.person
    assert person is not None
    assert person.full_name == "Dr. Şeyma Marie Müller-Đặng"
    assert person.address == ("Zum Kühlen Grunde 17 c", "40213 Düsseldorf")


def test_a_specialist_system_gets_it_sealed(
    application: Application,
    serve: Callable[..., Http],  # noqa: F811
    check: Callable[[bytes], Checked],
) -> None:
    answer = office_of(serve, application).get(f"{PASSES}/{RESIDENCE}/{NUMBER}/files/pdf")
    assert answer.status_code == 200, answer.text
    is_sealed(check(answer.content))


def test_the_desk_gets_it_sealed(
    city: City, application: Application, check: Callable[[bytes], Checked]
) -> None:
    clerk = settle(application, city.clock, "clerk", Role.CLERK)
    registrar = settle(application, city.clock, "meldeamt", Role.REGISTRAR)
    for person, path in (
        (clerk, f"/office/passes/{OWN}/{OWN_NUMBER}/print.pdf"),
        (registrar, f"/office/residence/{NUMBER}/print.pdf"),
    ):
        answer = person.client.get(path)
        assert answer.status_code == 200, answer.text
        is_sealed(check(answer.content))


def test_the_command_line_gets_it_sealed(
    city: City, tmp_path: Path, check: Callable[[bytes], Checked]
) -> None:
    with closing(Workspace.open(city.folder)) as workspace:
        out = tmp_path / "out"
        result = issue(workspace, _request(tmp_path, out, None))
    assert [one.value for one in result.carriers] == ["pdf", "seal"]
    data = (out / f"{NUMBER}.pdf").read_bytes()
    is_sealed(check(data))
    says(data, sealed=True)


def run_of(application: Application) -> str:
    with application.writing() as session:
        of_tenant = HolderRow.tenant == application.tenant
        session.execute(update(HolderRow).where(of_tenant).values(email="x@example.org"))
        session.execute(update(HolderRow).where(of_tenant, HolderRow.ref == "E-4712").values(email=""))
        return runs.begin(session, application, Selection(Kind.PERMITS), actor="test")


def test_a_print_run_is_sealed_as_a_whole(
    application: Application, check: Callable[[bytes], Checked]
) -> None:
    run_id = run_of(application)
    making.run_task(application, {"id": run_id})
    with application.reading() as session:
        data = making.file_of(session, application, run_id)
    is_sealed(check(data))
    says(data, sealed=True)


def pdf_key(application: Application, state: KeyState) -> None:
    with application.writing() as session:
        (record,) = keyring.records(session, application.tenant, Purpose.PDF_SEAL)
        after = {KeyState.REVOKED: key_life.revoke}[state](record, application.now())
        keyring.save(session, after)


def without_key(application: Application) -> None:
    with application.writing() as session:
        for row in session.query(SigningKeyRow).filter_by(
            tenant=application.tenant, purpose=Purpose.PDF_SEAL.value
        ):
            session.delete(row)


def test_the_command_line_says_that_nobody_seals(
    application: Application, city: City, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    without_key(application)
    file = _request(tmp_path, tmp_path, None).file
    out = tmp_path / "out"
    told = ["issue", RESIDENCE, str(file), "--out", str(out), "--data", str(city.folder), "--lang", "en"]
    assert main([*told, "--at", "2026-11-20T12:00"]) == 0
    assert "keys add pdf-seal" in capsys.readouterr().err
    says((out / f"{NUMBER}.pdf").read_bytes(), sealed=False)


@pytest.mark.parametrize("take_away", [without_key, lambda one: pdf_key(one, KeyState.REVOKED)])
def test_without_a_key_it_is_not_sealed_and_says_so(
    application: Application, take_away: Callable[[Application], None]
) -> None:
    take_away(application)
    data = fetched(application)
    assert b"/ByteRange" not in data
    says(data, sealed=False)
    run_id = run_of(application)
    making.run_task(application, {"id": run_id})
    with application.reading() as session:
        run = making.file_of(session, application, run_id)
    assert b"/ByteRange" not in run
    says(run, sealed=False)


def test_with_a_key_that_cannot_sign_nothing_leaves(
    city: City,
    application: Application,
    serve: Callable[..., Http],  # noqa: F811
    tmp_path: Path,
) -> None:
    """An end that nobody has seen coming must not turn sealed documents into others."""
    with application.writing() as session:
        (record,) = keyring.records(session, application.tenant, Purpose.PDF_SEAL)
        ended = application.now() - timedelta(days=1)
        session.execute(
            update(SigningKeyRow).where(SigningKeyRow.kid == record.kid.hex()).values(not_after=ended)
        )
    with browser(application) as client:
        visit(client, application, NUMBER, RESIDENCE)
        answer = client.get("/p/pass/permit.pdf")
    assert (answer.status_code, "ließ sich nicht erstellen" in answer.text) == (503, True)
    clerk = settle(application, city.clock, "clerk", Role.CLERK)
    told = clerk.client.get(f"/office/passes/{OWN}/{OWN_NUMBER}/print.pdf")
    assert (told.status_code, "sagen Sie es bitte der IT" in told.text) == (503, True)
    assert record.kid.hex() in told.text
    answer = office_of(serve, application).get(f"{PASSES}/{RESIDENCE}/{NUMBER}/files/pdf")
    assert (answer.status_code, answer.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
    run_id = run_of(application)
    with pytest.raises(RetryLater):
        making.run_task(application, {"id": run_id})
    with closing(Workspace.open(city.folder)) as workspace, pytest.raises((KeyRefusal, IssuerRefusal)):
        issue(workspace, _request(tmp_path, tmp_path / "out", None))
    assert not (tmp_path / "out" / f"{NUMBER}.pdf").exists()


def test_a_city_sees_its_key_and_its_end(city: City, application: Application) -> None:
    admin = settle(application, city.clock, "admin", Role.ADMIN)
    told = admin.client.get("/office/keys").text
    assert "Siegel in PDF-Dateien" in told
    assert "TEST Stadtpass Demo Document Seal" in told
    with application.reading() as session:
        (record,) = keyring.records(session, application.tenant, Purpose.PDF_SEAL)
    city.clock.at = record.not_after - timedelta(days=6)
    later = settle(application, city.clock, "later", Role.ADMIN)
    assert "stadtpass keys add pdf-seal" in later.client.get("/office/keys").text
