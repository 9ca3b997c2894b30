"""Residence proven by a wallet: what agrees with an application, what that settles, and what ends it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuer import audit, lifecycle
from issuer.application import Application
from issuer.cases import issue, proofs, steps
from issuer.cases.facts import CaseFacts, ProofCredential, ResidenceProof
from issuer.cases.proofs import Difference, differences
from issuer.cases.rules import Check, CheckOutcome
from issuer.cases.states import CaseState
from issuer.errors import IssuerRefusal, RegisterRefusal
from issuer.holders import Holder
from issuer.lifecycle import Actor
from issuer.models_cases import CaseRow
from issuer.reinstatement import reinstate
from tests.issuer.cases.office import CLERK, ERIKA, HOLDER, WANTED, Office
from tests.service import PERMIT

AT = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
PID, CERTIFICATE = ProofCredential.PID, ProofCredential.RESIDENCE_CERTIFICATE
PROOF = ResidenceProof(PID, "Bundesdruckerei TEST", AT)
ANYTHING = ("registration_certificate", "identity_card")
RESIDENCE = Check("residence", CheckOutcome.EVIDENCE, ANYTHING, "NOT_RESIDENT")
SHOWN = {
    "family_name": "Mustermann",
    "given_names": "Erika Maria",
    "main_street": "Pastorswiesenring",
    "main_house_number": "31",
    "main_postal_code": "40474",
    "main_city": "Düsseldorf",
}
OTHER = replace(
    ERIKA,
    family_name="Müller-Lüdenscheidt",
    given_name="Jörg",
    street="Dr.-Übermut-Straße",
    house_number="12a",
)
ONCE = pytest.mark.parametrize("city", ["sqlite"], indirect=True)
NAME, ADDRESS = {Difference.NAME}, {Difference.ADDRESS}


@pytest.fixture
def office(application: Application) -> Office:
    return Office(application)


@pytest.mark.parametrize(
    "shown",
    [
        {},
        {"given_names": "Erika"},
        {"given_names": "Maria-Erika"},
        {"family_name": "MUSTERMANN", "given_names": "ERIKA", "main_street": "PASTORSWIESENRING"},
        {"main_house_number": " 31 "},
        {"main_house_number": "Nr. 31"},
        # As German identity cards have it.
        {"main_street": "PASTORSWIESENRING 31", "main_house_number": ""},
        # Which town a postal code belongs to is written in many ways.
        {"main_city": "Duesseldorf-Nord"},
        {"main_city": "LANDESHAUPTSTADT DÜSSELDORF"},
    ],
)
def test_however_it_is_spelled(shown: dict[str, str]) -> None:
    assert differences(ERIKA, SHOWN | shown) == set()


@pytest.mark.parametrize(
    "street", ["Dr.-Übermut-Straße", "DR. ÜBERMUT STRAẞE", "dr übermut str.", "Doktor-Uebermut-Strasse"]
)
@pytest.mark.parametrize("number", ["12 a", "12A", "12a"])
@pytest.mark.parametrize("family", ["Müller Lüdenscheidt", "MUELLER-LUEDENSCHEIDT"])
def test_umlauts_streets_and_letters_of_house_numbers(street: str, number: str, family: str) -> None:
    shown = SHOWN | {"family_name": family, "given_names": "Jörg", "main_street": street}
    assert differences(OTHER, shown | {"main_house_number": number}) == set()
    assert differences(OTHER, shown | {"main_street": f"{street} {number}", "main_house_number": ""}) == set()


@pytest.mark.parametrize(
    ("street", "number", "written", "beside"),
    [
        ("Straße des 17. Juni", "135", "Straße des 17. Juni 135", ""),
        ("Straße des 17. Juni", "135", "STR. DES 17.JUNI 135", ""),
        ("Straße des 17. Juni", "135", "Straße des 17. Juni", "135"),
        # Blocks of Mannheim.
        ("C4", "12", "C4 12", ""),
        ("C4", "12", "C 4, 12", ""),
        ("C4", "12", "C 4", "12"),
        ("Pastorswiesenring", "5", "PASTORSWIESENRING 5", "5"),
        ("Pastorswiesenring", "5 a", "Pastorswiesenring 5a", "5A"),
        ("Pastorswiesenring", "5", "Pastorswiesenring Nr. 5", ""),
        ("Hauptstraße", "5", "HAUPTSTR.5", ""),
        ("Hauptstraße", "12 1/2", "Hauptstraße 12 1/2", ""),
        ("Hauptstraße", "12-14", "Hauptstr. 12 - 14", ""),
        ("Hof 3", "", "Hof 3", ""),
    ],
)
def test_numbers_in_and_behind_streets(street: str, number: str, written: str, beside: str) -> None:
    person = replace(ERIKA, street=street, house_number=number)
    shown = SHOWN | {"main_street": written, "main_house_number": beside}
    assert differences(person, shown) == set()
    for other in ("1", "17", f"{number}b"):
        assert differences(replace(person, house_number=other), shown) == ADDRESS


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ({"family_name": "Musterfrau"}, NAME),
        ({"given_names": "Max"}, NAME),
        ({"given_names": ""}, NAME),
        ({"family_name": ""}, NAME),
        ({"family_name": "x" * 5000}, NAME),
        ({"main_street": "Feldrand"}, ADDRESS),
        ({"main_street": ""}, ADDRESS),
        ({"main_street": "31", "main_house_number": ""}, ADDRESS),
        ({"main_street": "x" * 5000}, ADDRESS),
        ({"main_house_number": "33"}, ADDRESS),
        ({"main_house_number": "31a"}, ADDRESS),
        ({"main_house_number": "31-33"}, ADDRESS),
        ({"main_house_number": ""}, ADDRESS),
        ({"main_house_number": "above the baker's"}, ADDRESS),
        ({"main_street": "Pastorswiesenring 33", "main_house_number": ""}, ADDRESS),
        # A number of its own counts, whatever stands behind the street.
        ({"main_street": "Pastorswiesenring 31", "main_house_number": "33"}, ADDRESS),
        ({"main_postal_code": "40475"}, ADDRESS),
        ({"main_postal_code": ""}, ADDRESS),
        # Some postal codes are those of two towns, which may have streets of the same name.
        ({"main_city": "Neuss"}, ADDRESS),
        ({"main_city": ""}, ADDRESS),
        ({"family_name": "Musterfrau", "main_house_number": "33"}, NAME | ADDRESS),
    ],
)
def test_what_does_not_agree_is_named(shown: dict[str, str], expected: set[Difference]) -> None:
    assert differences(ERIKA, SHOWN | shown) == expected


def test_nothing_agrees_with_nothing() -> None:
    assert differences(ERIKA, {}) == NAME | ADDRESS
    assert differences(Holder("", ""), {}) == NAME | ADDRESS
    assert differences(Holder("", ""), {"main_street": " ", "family_name": " "}) == NAME | ADDRESS


@given(st.dictionaries(st.sampled_from(sorted(SHOWN)), st.text(max_size=60)))
def test_whatever_a_credential_says_is_an_answer(shown: dict[str, str]) -> None:
    found = differences(ERIKA, shown)
    assert found <= NAME | ADDRESS
    if found == set():
        assert shown["main_postal_code"].strip() == ERIKA.postal_code


def stored(*evidence: str, **other: Any) -> dict[str, Any]:
    return msgspec.structs.asdict(Stored(evidence=list(evidence))) | other


class Stored(msgspec.Struct):
    """A check as a case stores it."""

    evidence: list[str]
    name: str = "residence"
    outcome: str = "evidence"
    reason: str = "NOT_RESIDENT"


PROVEN = msgspec.structs.replace(WANTED, residence_proof=PROOF)


def test_a_proof_counts_as_the_evidence_that_the_rules_name() -> None:
    [check] = proofs.settled([stored(*ANYTHING)], PROVEN)
    assert (check["accepted"], check["proven"]) == ("identity_card", True)
    certificate = msgspec.structs.replace(
        WANTED, residence_proof=msgspec.structs.replace(PROOF, credential=CERTIFICATE)
    )
    [check] = proofs.settled([stored(*ANYTHING)], certificate)
    assert check["accepted"] == "registration_certificate"


@pytest.mark.parametrize(
    "check",
    [
        stored("registration_certificate"),
        stored("a_letter_of_the_city"),
        stored(*ANYTHING, name="keeper_1"),
        stored(*ANYTHING, outcome="refused"),
        stored(outcome="confirmed"),
        # Who lives there does not say in which zone that is.
        stored(*ANYTHING, reason="ADDRESS_UNCLEAR"),
        stored(*ANYTHING, accepted="registration_certificate"),
    ],
)
def test_and_as_nothing_else(check: dict[str, Any]) -> None:
    assert proofs.settled([check], PROVEN) == [check]


def test_a_secondary_residence_is_in_no_wallet_that_is_asked() -> None:
    facts = msgspec.structs.replace(PROVEN, residence="secondary")
    assert proofs.settled([stored(*ANYTHING)], facts) == [stored(*ANYTHING)]
    assert not proofs.is_for_wallet(stored(*ANYTHING), facts)
    assert proofs.is_for_wallet(stored(*ANYTHING), WANTED)
    assert not proofs.is_for_wallet(stored("a_letter_of_the_city"), WANTED)


def key(office: Office, person: Holder = ERIKA, **shown: str) -> str:
    with office.application.reading() as session:
        return proofs.shown_key(session, office.application.tenant, person, SHOWN | shown)


@ONCE
def test_one_person_has_one_key_under_whichever_names(office: Office) -> None:
    """Whatever of the given names the application has: all of those shown count, and the family name."""
    same = key(office)
    assert re.fullmatch(r"[0-9a-f]{32}", same)
    assert key(office, replace(ERIKA, given_name="Maria", family_name="MUSTERMANN")) == same
    assert key(office, replace(ERIKA, street="Pastorswiesen-Ring", house_number="Nr. 31")) == same
    assert key(office, family_name="MUSTERMANN", given_names="MARIA-ERIKA") == same
    # An identity has the house number in the street, a certificate has not.
    assert key(office, main_street="Pastorswiesenring 31", main_house_number="") == same
    others = [
        key(office, given_names="Erika"),
        key(office, given_names="Erika Anna"),
        key(office, family_name="Musterfrau"),
        key(office, replace(ERIKA, house_number="31-33")),
        key(office, replace(ERIKA, house_number="")),
        key(office, replace(ERIKA, postal_code="40475")),
    ]
    assert len({same, *others}) == 7


SAME = msgspec.structs.replace(PROOF, person="5a" * 16)
MARIA = replace(ERIKA, given_name="Maria", email="")


def refused(code: str, office: Office, case_id: str) -> None:
    with office.application.writing() as session, pytest.raises(IssuerRefusal, match=code):
        steps.submit(session, office.application.tenant, case_id, office.by(HOLDER), office.rules)


def proven(office: Office, facts: CaseFacts = WANTED, person: Holder = ERIKA) -> str:
    """The id of a draft of somebody who has shown the wallet of `SAME`."""
    case = office.draft(facts, person)
    prove(office, case.id, SAME)
    return case.id


def handed_in(office: Office, case_id: str) -> None:
    with office.application.writing() as session:
        steps.submit(session, office.application.tenant, case_id, office.by(HOLDER), office.rules)


def issued(office: Office, case_id: str) -> str:
    with office.application.writing() as session:
        issue.approve(session, office.application, case_id, office.by(CLERK), office.rules)
        done = issue.paid(session, office.application, case_id, office.by("payments"))
    assert done.pass_number is not None
    return done.pass_number


def test_one_wallet_is_one_person_whichever_given_name_they_use(office: Office) -> None:
    office.rules.found = [RESIDENCE]
    first, second = proven(office), proven(office, person=MARIA)
    handed_in(office, first)
    refused("CASE_TWICE", office, second)
    number = issued(office, first)
    with office.application.writing() as session, pytest.raises(IssuerRefusal, match="PERMIT_TWICE") as told:
        steps.submit(session, office.application.tenant, second, office.by(HOLDER), office.rules)
    assert told.value.params["number"] == number
    # Two people decide on a second one.
    with office.application.writing() as session:
        facts = msgspec.structs.replace(office.case(second).facts, permit_kind="two_plates")
        steps.save_draft(session, office.application.tenant, second, office.by(HOLDER), facts)
    handed_in(office, second)


def test_nor_does_it_prove_a_second_case_later(office: Office) -> None:
    office.rules.found = [RESIDENCE]
    first, second = proven(office), office.submitted(person=MARIA)
    handed_in(office, first)
    with office.application.writing() as session:
        steps.ask_documents(session, office.application.tenant, second.id, office.by(CLERK), ["residence"])
    with pytest.raises(IssuerRefusal, match="CASE_TWICE"):
        prove(office, second.id, SAME)
    assert office.case(second.id).facts.residence_proof is None
    issued(office, first)
    # No such case is under way any more, and whether there may be a second permit is for the office to decide.
    prove(office, second.id, SAME)
    with office.application.writing() as session:
        steps.documents_added(session, office.application.tenant, second.id, office.by(HOLDER))
    with office.application.writing() as session, pytest.raises(IssuerRefusal, match="PERMIT_TWICE"):
        issue.approve(session, office.application, second.id, office.by(CLERK), office.rules)


def test_a_permit_does_not_come_back_beside_another_of_that_person(office: Office) -> None:
    office.rules.found = [RESIDENCE]
    first = proven(office)
    handed_in(office, first)
    number = issued(office, first)
    application = office.application
    pass_type = application.pass_types[PERMIT]
    by = Actor(CLERK, application.now(), "the wrong one")
    with application.writing() as session:
        seal_for = application.sealer(session, pass_type)
        lifecycle.revoke(session, application.tenant, PERMIT, number, actor=by)

    def back(code: str) -> None:
        with application.writing() as session, pytest.raises(RegisterRefusal, match=code):
            reinstate(session, application.tenant, pass_type, number, seal_for=seal_for, actor=by)

    second = proven(office, person=MARIA)
    handed_in(office, second)
    back("REINSTATE_CASE")
    issued(office, second)
    back("PERMIT_TWICE")


def test_of_two_wallets_each_is_one_person(office: Office) -> None:
    office.rules.found = [RESIDENCE]
    handed_in(office, proven(office))
    other = office.draft(person=MARIA)
    prove(office, other.id, msgspec.structs.replace(SAME, person="a5" * 16))
    handed_in(office, other.id)
    # Those of before there were digests have none in common.
    for name in ("Anna", "Berta"):
        before = office.draft(person=replace(MARIA, given_name=name))
        prove(office, before.id)
        handed_in(office, before.id)


def prove(office: Office, case_id: str, proof: ResidenceProof = PROOF) -> None:
    with office.application.writing() as session:
        steps.prove_residence(session, office.application.tenant, case_id, office.by(HOLDER), proof)


def test_what_was_proven_before_needs_no_clerk(office: Office) -> None:
    office.rules.found = [RESIDENCE]
    case = office.draft()
    prove(office, case.id)
    with office.application.writing() as session:
        steps.submit(session, office.application.tenant, case.id, office.by(HOLDER), office.rules)
        case = steps.approve(session, office.application.tenant, case.id, office.by(CLERK), office.rules)
        entries = audit.history(session, office.application.tenant, case.subject)
    assert case.state is CaseState.AWAITING_PAYMENT
    [check] = case.checks
    assert (check["accepted"], check["proven"]) == ("identity_card", True)
    told = {one.action: one.after for one in entries}
    assert told["case_prove"] == {"credential": "pid", "issuer": "Bundesdruckerei TEST"}
    assert (told["case_submit"] or {})["open_checks"] == []
    kept = office.case(case.id).facts.residence_proof
    assert kept == PROOF


def test_what_the_office_has_asked_for(office: Office) -> None:
    office.rules.found = [RESIDENCE]
    case = office.submitted()
    assert case.checks[0].get("accepted") is None
    with pytest.raises(IssuerRefusal, match="CASE_STEP"):
        prove(office, case.id)
    with office.application.writing() as session:
        steps.ask_documents(session, office.application.tenant, case.id, office.by(CLERK), ["residence"])
    prove(office, case.id, msgspec.structs.replace(PROOF, credential=CERTIFICATE))
    case = office.case(case.id)
    assert case.state is CaseState.DOCUMENTS
    assert case.checks[0]["accepted"] == "registration_certificate"


@pytest.mark.parametrize(
    ("before", "now", "holds"),
    [
        ("112", "1-12", False),
        ("12", "1/2", False),
        ("12", "12 1/2", False),
        ("121", "12 1/1", False),
        ("12a", "12 A", True),
        ("12–14", "12 - 14", True),
        ("above the baker's", "above the baker's", True),
        ("above the baker's", "above the bakers", False),
        ("above the baker's", "12", False),
    ],
)
def test_another_house_number_ends_it_whatever_digits_it_has(before: str, now: str, holds: bool) -> None:
    assert proofs.holds_for(replace(ERIKA, house_number=before), replace(ERIKA, house_number=now)) is holds


def test_the_same_name_in_other_letters_ends_nothing() -> None:
    assert proofs.holds_for(OTHER, replace(OTHER, family_name="Mueller Luedenscheidt", given_name="JOERG"))
    nameless = replace(ERIKA, given_name="")
    assert proofs.holds_for(nameless, nameless)
    assert not proofs.holds_for(nameless, ERIKA)


@pytest.mark.parametrize(
    ("other", "holds"),
    [
        ({"house_number": "33"}, False),
        ({"street": "Gartenweg"}, False),
        ({"postal_code": "40475"}, False),
        ({"family_name": "Musterfrau"}, False),
        ({"given_name": "Max"}, False),
        ({"given_name": "Maria"}, False),
        ({"given_name": "Erika Maria"}, False),
        ({"city": "Neuss"}, False),
        ({"house_number": ""}, False),
        ({"house_number": "3/1"}, False),
        ({"family_name": "MUSTERMANN"}, True),
        ({"street": "Pastorswiesen-Ring", "house_number": "Nr. 31"}, True),
        ({"email": ""}, True),
    ],
)
@ONCE
def test_another_name_or_address_ends_it(office: Office, other: dict[str, str], holds: bool) -> None:
    case = office.draft()
    prove(office, case.id)
    with office.application.writing() as session:
        row = session.get_one(CaseRow, (office.application.tenant, case.id))
        facts = office.case(row.id).facts
        person = replace(ERIKA, **other)
        case = steps.save_draft(session, office.application.tenant, case.id, office.by(HOLDER), facts, person)
    assert (case.facts.residence_proof is not None) is holds


def test_no_claim_is_kept(office: Office) -> None:
    case = office.draft()
    prove(office, case.id)
    with office.application.reading() as session:
        row = session.get_one(CaseRow, (office.application.tenant, case.id))
        text = repr((row.facts, row.checks))
    for said in (ERIKA.family_name, ERIKA.street, ERIKA.postal_code):
        assert said not in text
