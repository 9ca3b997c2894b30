"""Changing, suspending, revoking, reissuing and renewing through the API, and who wins when two do so at once."""

from __future__ import annotations

import io
import json
import threading
import zipfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import zxingcpp
from litestar.testing import TestClient
from PIL import Image
from sqlalchemy import select

from issuer.api.scopes import Scope
from issuer.application import Application
from issuer.models import RevisionRow
from issuer.models_access import IdempotencyRow, PickupLinkRow
from issuer.models_delivery import LetterRow, MailRow, WalletPassRow
from issuer.publish import publish
from issuer.revocation_log import FILE_NAME
from passes.periods import BERLIN
from tests.issuer.api.conftest import Http, bearer
from tests.issuer.api.office import PASSES, Office, card, codes, office_of, permit
from tests.service import CARD, PERMIT, City
from tests.web_app import create_app
from verifier.seal_check import check_seal
from verifier.state import State
from verifier.trust import load_trust
from verifier.verdict import Reason

Serve = Callable[..., Http]
NUMBER = "A-1"
PATH = f"{PASSES}/{PERMIT}/{NUMBER}"


@pytest.fixture
def office(serve: Serve, application: Application) -> Office:
    made = office_of(serve, application)
    assert made.post(PASSES, json=permit(number=NUMBER)).status_code == 201
    return made


def revisions(application: Application, number: str = NUMBER) -> list[RevisionRow]:
    with application.reading() as session:
        return list(
            session.scalars(
                select(RevisionRow)
                .where(RevisionRow.tenant == application.tenant, RevisionRow.number == number)
                .order_by(RevisionRow.n)
            )
        )


def reasons(application: Application, folder: Path, at: datetime, number: str = NUMBER) -> list[Reason]:
    """What a warden sees of each revision's seal, oldest first, with the lists of ``at``."""
    publish(application.workspace, folder, at)
    trust = load_trust(folder, State())
    return [check_seal(one.seal or "", trust, at).reason for one in revisions(application, number)]


def test_who_changes_says_what_they_have_seen(office: Office) -> None:
    body = {"plates": [{"plate": "D-XY 99"}]}
    missing = office.patch(PATH, json=body)
    assert (missing.status_code, missing.json()["code"]) == (428, "IF_MATCH_MISSING")
    assert office.post(f"{PATH}/revoke", json={"reason": "x"}).status_code == 428
    old = office.etag(NUMBER)
    for bad in ("nonsense", 'W/"', '"a" "b"'):
        assert office.patch(PATH, json=body, headers={"If-Match": bad}).status_code == 400
    assert office.patch(PATH, json=body, headers={"If-Match": f"W/{old}"}).status_code == 412
    changed = office.patch(PATH, json=body, headers={"If-Match": f'"1", {old}'})
    assert changed.status_code == 200, changed.text
    assert changed.json()["revision"] == 2
    assert changed.headers["etag"] == office.etag(NUMBER) != old
    stale = office.post(f"{PATH}/suspend", json={"reason": "x"}, headers={"If-Match": old})
    assert (stale.status_code, stale.json()["code"]) == (412, "VERSION_STALE")
    assert stale.headers["etag"] == office.etag(NUMBER)
    assert office.get(PATH).json()["status"] == "active"
    whatever = office.post(f"{PATH}/suspend", json={"reason": "x"}, headers={"If-Match": "*"})
    assert whatever.status_code == 200
    gone = office.patch(f"{PASSES}/{PERMIT}/nothing", json=body, headers={"If-Match": old})
    assert gone.status_code == 404


def test_of_two_changes_at_once_one_wins(
    office: Office, application: Application, neighbour: Application, serve: Serve
) -> None:
    there = office_of(serve, neighbour)
    assert there.post(PASSES, json=permit(number=NUMBER)).status_code == 201
    version = office.etag(NUMBER)
    start = threading.Barrier(2, timeout=30)
    answers: list[int] = []
    # Made here: the framework's own imports do not bear two applications being made at the same time.
    apps = {f"D-XY {n}": create_app(application) for n in (1, 2)}

    def change(plate: str) -> None:
        with TestClient(apps[plate]) as http:
            start.wait()
            headers = bearer(office.token) | {"If-Match": version}
            body = {"plates": [{"plate": plate}]}
            answers.append(http.patch(PATH, json=body, headers=headers).status_code)

    threads = [threading.Thread(target=change, args=(plate,)) for plate in apps]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(answers) == [200, 412]
    assert len(revisions(application)) == 2
    assert len(revisions(neighbour)) == 1
    assert there.get(PATH).json()["revision"] == 1


def test_a_change_with_faults(office: Office) -> None:
    faults = office.change(
        NUMBER, {"plates": [{"plate": "0-1"}, {"plate": "D-AB 1 (04-10)", "season": "05-09"}]}
    )
    assert codes(faults) == {"#/plates/0/plate": "PLATE_SPECIAL", "#/plates/1/season": "SEASON_CONFLICT"}
    assert codes(office.change(NUMBER, {"zone": "XX"})) == {"#/zone": "ZONE_UNKNOWN"}
    assert codes(office.change(NUMBER, {"plates": [{"plate": f"D-A {n}"} for n in range(1, 4)]})) == {
        "#/plates": "PLATE_COUNT"
    }
    assert office.change(NUMBER, {"zone": "HO"}).json()["code"] == "NOTHING_CHANGES"
    number = office.change(NUMBER, {"card_number": {"number": "1"}})
    assert (number.status_code, number.json()["code"]) == (422, "ATTRIBUTE_NOT_OF_TYPE")
    assert office.change(NUMBER, {"holder": {}}).status_code == 422


def test_a_card_gets_another_number(office: Office) -> None:
    office.post(PASSES, json=card(number="M1", attributes={
        "card_number": {"number": "24711399999998", "scheme": "codabar14", "symbology": "CODABAR"},
        "category": "institution",
    }))  # fmt: skip
    wrong = office.change("M1", {"card_number": {"number": "24711399999999"}}, CARD)
    assert list(codes(wrong)) == ["#/card_number"]
    changed = office.change("M1", {"card_number": {"number": "0042", "scheme": "", "symbology": ""}}, CARD)
    assert changed.status_code == 200, changed.text
    assert changed.json()["attributes"]["card_number"]["number"] == "0042"
    office.post(PASSES, json=card(number="M2", attributes={"card_number": "77", "category": "institution"}))
    taken = office.change("M2", {"card_number": {"number": "0042"}}, CARD)
    assert (taken.status_code, taken.json()["code"]) == (409, "CARD_TAKEN")


def test_suspend_resume_revoke(office: Office, application: Application, tmp_path: Path, city: City) -> None:
    at = datetime(2026, 12, 10, 12, tzinfo=BERLIN)
    city.clock.at = at
    steps = (
        ("suspend", "suspended", Reason.SUSPENDED),
        ("resume", "active", Reason.VALID),
        ("revoke", "revoked", Reason.REVOKED),
    )
    for n, (name, status, reason) in enumerate(steps):
        assert office.post(f"{PATH}/{name}", json={}, headers={"If-Match": "*"}).status_code == 422
        answer = office.step(NUMBER, name, {"reason": f"because {n}"})
        assert (answer.status_code, answer.json()["status"]) == (200, status)
        # The plate is out of its season in December, which comes after everything a list can say.
        expected = Reason.OUT_OF_SEASON if reason is Reason.VALID else reason
        assert reasons(application, tmp_path / f"lists{n}", at) == [expected]
        again = office.step(NUMBER, name, {"reason": "x"})
        assert again.status_code == 409
    log = (application.workspace.folder / FILE_NAME).read_text().splitlines()
    entry = json.loads(log[-1])
    place = revisions(application)[0]
    assert entry["pass"] == f"{PERMIT}/{NUMBER}"
    assert entry["place"] == [place.list_number, place.list_index]
    history = office.get(f"{PATH}/history").json()["items"]
    assert [(one["action"], one["reason"]) for one in history[1:]] == [
        ("suspend", "because 0"),
        ("resume", "because 1"),
        ("revoke", "because 2"),
    ]


def test_a_revocation_is_acknowledged_only_with_its_log(
    office: Office, application: Application, monkeypatch: Any
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("issuer.revocation.RevocationLog.passes", full)
    answer = office.step(NUMBER, "revoke", {"reason": "x"})
    assert (answer.status_code, answer.json()["code"]) == (500, "INTERNAL")
    assert office.get(PATH).json()["status"] == "active"


def test_the_same_key_revokes_once(office: Office, application: Application) -> None:
    headers = {"If-Match": office.etag(NUMBER), "Idempotency-Key": "r1"}
    first = office.post(f"{PATH}/revoke", json={"reason": "x"}, headers=headers)
    # The version is an old one by now, and the answer is still the one of the first request.
    second = office.post(f"{PATH}/revoke", json={"reason": "x"}, headers=headers)
    assert (first.status_code, second.status_code) == (200, 200)
    assert second.json() == first.json()


def test_reissue(office: Office, application: Application) -> None:
    before = revisions(application)[0]
    answer = office.step(NUMBER, "reissue", {"reason": "Phone lost"})
    assert answer.status_code == 200
    old, new = revisions(application)
    assert (old.status_value, new.status_value) == (3, 0)
    assert new.serial != before.serial
    with application.reading() as session:
        tags = {
            one.serial: one.update_tag
            for one in session.scalars(select(WalletPassRow).where(WalletPassRow.number == NUMBER))
        }
    assert answer.headers["etag"] == f'"{tags[new.serial]}"'


class TestRenewal:
    """A permit from 1 December 2026 to 30 November 2027, renewed in October 2027."""

    @pytest.fixture
    def ending(self, office: Office, city: City) -> Office:
        body = permit(number="R-1", attributes={
            "plates": [{"plate": "D-AB 123"}], "zone": "HO", "permit_kind": "standard",
        })  # fmt: skip
        assert office.post(PASSES, json=body).status_code == 201
        city.clock.at = datetime(2027, 10, 1, 12, tzinfo=BERLIN)
        return office

    def test_no_gap_for_a_warden(
        self, ending: Office, application: Application, city: City, tmp_path: Path
    ) -> None:
        answer = ending.step("R-1", "renew", {"term_months": 12, "channel": "online", "fee_cents": 2500})
        assert answer.status_code == 200, answer.text
        assert answer.json()["number"] == "R-1"
        assert answer.json()["period"] == {"first": "2026-12-01", "last": "2028-11-30"}
        old, new = revisions(application, "R-1")
        assert (old.serial, old.apple_token) == (new.serial, new.apple_token)
        assert old.list_number != new.list_number
        days = (
            # Between renewal and the new term: the phone has the new seal, the car still the old print.
            (datetime(2027, 10, 1, 13, tzinfo=BERLIN), [Reason.VALID, Reason.VALID]),
            (datetime(2027, 11, 30, 23, 59, 59, tzinfo=BERLIN), [Reason.VALID, Reason.VALID]),
            (datetime(2027, 12, 1, 0, 0, tzinfo=BERLIN), [Reason.EXPIRED, Reason.VALID]),
            (datetime(2028, 11, 30, 23, 59, 59, tzinfo=BERLIN), [Reason.EXPIRED, Reason.VALID]),
            (datetime(2028, 12, 1, 0, 0, tzinfo=BERLIN), [Reason.EXPIRED, Reason.EXPIRED]),
        )
        for n, (at, expected) in enumerate(days):
            assert reasons(application, tmp_path / f"lists{n}", at, "R-1") == expected, at

    @pytest.mark.parametrize(
        ("name", "body", "expected"),
        [
            ("revoke", {"reason": "x"}, [Reason.REVOKED, Reason.REVOKED]),
            ("suspend", {"reason": "x"}, [Reason.SUSPENDED, Reason.SUSPENDED]),
            ("reissue", {"reason": "x"}, [Reason.SUPERSEDED, Reason.SUPERSEDED, Reason.VALID]),
        ],
    )
    def test_what_ends_the_right_ends_the_older_seal(
        self, ending: Office, application: Application, tmp_path: Path, name: str, body: Any, expected: Any
    ) -> None:
        ending.step("R-1", "renew", {"term_months": 12})
        assert ending.step("R-1", name, body).status_code == 200
        at = datetime(2027, 10, 2, 12, tzinfo=BERLIN)
        assert reasons(application, tmp_path / "lists", at, "R-1") == expected
        if name == "revoke":
            log = (application.workspace.folder / FILE_NAME).read_text().splitlines()
            places = [json.loads(line)["place"] for line in log if '"R-1"' in line or "/R-1" in line]
            assert places == [[one.list_number, one.list_index] for one in revisions(application, "R-1")]
        if name == "suspend":
            assert ending.step("R-1", "resume", {"reason": "x"}).status_code == 200
            at = datetime(2027, 10, 3, 12, tzinfo=BERLIN)
            assert reasons(application, tmp_path / "later", at, "R-1") == [Reason.VALID, Reason.VALID]

    def test_a_change_ends_the_older_seal(
        self, ending: Office, application: Application, tmp_path: Path
    ) -> None:
        ending.step("R-1", "renew", {"term_months": 12})
        assert ending.change("R-1", {"plates": [{"plate": "D-XY 7"}]}).status_code == 200
        at = datetime(2027, 10, 2, 12, tzinfo=BERLIN)
        assert reasons(application, tmp_path / "lists", at, "R-1") == [
            Reason.SUPERSEDED,
            Reason.SUPERSEDED,
            Reason.VALID,
        ]

    @pytest.mark.parametrize(
        ("day", "code"),
        [
            ((2027, 9, 30), "RENEWAL_TOO_EARLY"),
            ((2027, 10, 1), None),
            ((2027, 11, 30), None),
            ((2027, 12, 1), "PASS_ENDED"),
        ],
    )
    def test_when(self, ending: Office, city: City, day: tuple[int, int, int], code: str | None) -> None:
        city.clock.at = datetime(*day, 12, tzinfo=BERLIN)
        answer = ending.step("R-1", "renew", {"term_months": 12})
        assert answer.json().get("code") == code
        # Renewed once, the next time is next year.
        if code is None:
            assert ending.step("R-1", "renew", {"term_months": 12}).json()["code"] == "RENEWAL_TOO_EARLY"

    def test_what_is_wrong_with_it(self, ending: Office) -> None:
        wrong = ending.step("R-1", "renew", {"term_months": 12, "channel": "online", "fee_cents": 1})
        assert (wrong.status_code, wrong.json()["code"]) == (422, "FEE_MISMATCH")
        assert ending.step("R-1", "renew", {"term_months": 0}).status_code == 422
        ending.step("R-1", "suspend", {"reason": "x"})
        assert ending.step("R-1", "renew", {"term_months": 12}).json()["code"] == "PASS_SUSPENDED"

    def test_a_short_month(self, office: Office, city: City) -> None:
        body = permit(number="R-2", period={"first": "2027-03-01", "term_months": 12}, details={})
        assert office.post(PASSES, json=body).status_code == 201
        city.clock.at = datetime(2028, 2, 1, 12, tzinfo=BERLIN)
        answer = office.step("R-2", "renew", {"term_months": 12})
        assert answer.json()["period"] == {"first": "2027-03-01", "last": "2029-02-28"}


def test_files(office: Office, application: Application) -> None:
    apple = office.get(f"{PATH}/files/apple")
    assert apple.headers["content-type"] == "application/vnd.apple.pkpass"
    assert "pass.json" in zipfile.ZipFile(io.BytesIO(apple.content)).namelist()
    pdf = office.get(f"{PATH}/files/pdf")
    assert pdf.content.startswith(b"%PDF-") and pdf.headers["content-disposition"].endswith('"A-1.pdf"')
    png = office.get(f"{PATH}/files/seal.png")
    assert png.content.startswith(b"\x89PNG")
    assert office.get(f"{PATH}/files/passport").json()["code"] == "FILE_UNKNOWN"
    office.step(NUMBER, "revoke", {"reason": "x"})
    assert office.get(f"{PATH}/files/pdf").json()["code"] == "FILE_NOT_OF_STATUS"
    assert office.get(f"{PATH}/files/seal.png").status_code == 200


def test_a_library_card_has_its_number_as_a_code(office: Office) -> None:
    number = card(number="M-1")
    assert office.post(PASSES, json=number).status_code == 201
    path = f"{PASSES}/{CARD}/M-1"
    png = office.get(f"{path}/files/number.png")
    assert png.headers["content-type"] == "image/png"
    assert png.headers["content-disposition"].endswith('"M-1.number.png"')
    (found,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(png.content)).convert("L"))
    assert found.text == office.get(path).json()["attributes"]["card_number"]["number"]
    svg = office.get(f"{path}/files/number.svg")
    assert svg.headers["content-type"] == "image/svg+xml" and svg.content.startswith(b"<svg ")
    # A permit has no number for other readers, and a card that does not hold shows none.
    assert office.get(f"{PATH}/files/number.png").json()["code"] == "FILE_UNKNOWN"
    office.step("M-1", "revoke", {"reason": "x"}, CARD)
    assert office.get(f"{path}/files/number.png").json()["code"] == "FILE_NOT_OF_STATUS"


@pytest.mark.parametrize(
    ("name", "more"), [("apple", Scope.PASSES_WRITE), ("pdf", Scope.HOLDERS_READ), ("seal.png", None)]
)
def test_who_gets_which_file(
    office: Office, serve: Serve, application: Application, name: str, more: Scope | None
) -> None:
    # Whatever else a client may do does not help it.
    others = [one for one in Scope if one is not more]
    answer = office_of(serve, application, *others).get(f"{PATH}/files/{name}")
    if more is None:
        assert office_of(serve, application, Scope.PASSES_READ).get(f"{PATH}/files/{name}").status_code == 200
        return
    assert (answer.status_code, answer.json()["code"]) == (403, "SCOPE_MISSING")
    assert f'scope="{more}"' in answer.headers["www-authenticate"]
    both = office_of(serve, application, Scope.PASSES_READ, more)
    assert both.get(f"{PATH}/files/{name}").status_code == 200
    # It is an addition, not another way in.
    assert office_of(serve, application, more).get(f"{PATH}/files/{name}").status_code == 403


def test_links_and_codes(office: Office, application: Application) -> None:
    key = {"Idempotency-Key": "k"}
    link = office.post(f"{PATH}/pickup-links", json={"channel": "desk"}, headers=key)
    assert link.status_code == 201
    assert "/p/l/" in link.json()["url"]
    # The answer holds a secret, so it is not kept for a repetition.
    assert office.post(f"{PATH}/pickup-links", json={"channel": "desk"}, headers=key).status_code == 409
    with application.reading() as session:
        rows = session.scalars(select(PickupLinkRow).where(PickupLinkRow.number == NUMBER)).all()
        kept = session.scalars(select(IdempotencyRow).where(IdempotencyRow.key == "k")).one()
    assert len(rows) == 1 and kept.body == b""
    mailed = office.post(f"{PATH}/pickup-links", json={"channel": "mail"})
    assert (mailed.status_code, mailed.json()) == (201, {"channel": "mail"})
    with application.reading() as session:
        assert session.scalars(select(MailRow).where(MailRow.number == NUMBER)).one().kind == "pickup"
    letter = office.post(f"{PATH}/letter-codes")
    assert letter.status_code == 201 and len(letter.json()["code"]) == 12
    office.post(PASSES, json=card(number="M9"))
    nobody = office.post(f"{PASSES}/{CARD}/M9/pickup-links", json={"channel": "mail"})
    assert (nobody.status_code, nobody.json()["code"]) == (409, "HOLDER_WITHOUT_MAIL")
    assert office.post(f"{PASSES}/{PERMIT}/nothing/letter-codes").status_code == 404


def test_holders_are_told_to_print_again_when_a_plate_changes(
    office: Office, application: Application
) -> None:
    def told() -> list[tuple[str, str]]:
        with application.reading() as session:
            rows = [*session.scalars(select(MailRow)), *session.scalars(select(LetterRow))]
            return [(row.kind, row.number) for row in rows if row.tenant == application.tenant]

    assert office.change(NUMBER, {"zone": "BÖ"}).status_code == 200
    assert told() == []
    assert office.change(NUMBER, {"plates": [{"plate": "D-NE 77"}]}).status_code == 200
    assert told() == [("changed", NUMBER)]
    assert office.change(NUMBER, {"plates": [{"plate": "D-NE 77"}]}).status_code == 409
    assert told() == [("changed", NUMBER)]
