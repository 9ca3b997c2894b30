import json
from datetime import timedelta
from typing import Any

import cbor2
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from keys.errors import KeyRefusal
from passes.apple import ApplePassFactory
from passes.credentials import Binding, CredentialFactory, pseudonym
from passes.errors import PassRefusal
from passes.google import GooglePassFactory
from passes.model import PassContent, PassStatus
from passes.pdf import PdfFactory
from passes.sd_jwt import decoded, digest
from tests.eudi_wallet import AT, Issuer
from tests.passes.carrier_samples import CARD, PERMIT, city, library_card, permit
from tests.passes.credential_samples import LIST_URI, RESIDENCE, SAMPLES, binding, residence

ISO = "org.iso.23220.1"
KEY = ec.generate_private_key(ec.SECP256R1()).public_key()
TYPES = {one.id: one for one in (PERMIT, CARD, RESIDENCE)}
BOTH = ("dc+sd-jwt", "mso_mdoc")


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer.new(tmp_path_factory.mktemp("issuer"))


def issued(issuer: Issuer, form: Any, content: PassContent, **changes: Any) -> str:
    factory = CredentialFactory(TYPES[content.type_id], city(**changes), issuer.identity)
    [made] = factory.issue(form, content, [binding(KEY)], AT)
    return made


def claims(credential: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The payload, and what all disclosures hold by their name."""
    token, *disclosures = credential.rstrip("~").split("~")
    told = [json.loads(decoded(one)) for one in disclosures]
    return json.loads(decoded(token.split(".")[1])), {one[1]: one[2] for one in told if len(one) == 3}


def elements(credential: str) -> dict[str, dict[str, Any]]:
    read = cbor2.loads(decoded(credential))
    items = {space: [cbor2.loads(one.value) for one in found] for space, found in read["nameSpaces"].items()}
    return {
        space: {one["elementIdentifier"]: one["elementValue"] for one in found}
        for space, found in items.items()
    }


@pytest.mark.parametrize("type_id", TYPES)
def test_every_mdoc_has_what_etsi_demands(issuer: Issuer, type_id: str) -> None:
    found = elements(issued(issuer, "mso_mdoc", SAMPLES[type_id]))[ISO]
    assert {
        "document_number",
        "issuing_authority",
        "issuing_country",
        "issue_date",
        "expiry_date",
    } <= found.keys()
    assert {"given_name", "family_name"} <= found.keys() or "also_known_as" in found


@pytest.mark.parametrize("type_id", TYPES)
def test_every_sd_jwt_vc_names_its_metadata(issuer: Issuer, type_id: str) -> None:
    payload, _ = claims(issued(issuer, "dc+sd-jwt", SAMPLES[type_id]))
    assert payload["vct"] == f"https://ausweise.stadt.example/vct/{type_id}/1"
    assert payload["vct#integrity"].startswith("sha256-")
    assert payload["nbf"] <= AT.timestamp()
    assert payload["iss"] == "https://ausweise.stadt.example"


def test_neither_permit_nor_card_says_who_the_holder_is(issuer: Issuer) -> None:
    for content in (permit("D-AB 123"), library_card()):
        for form in BOTH:
            text = issued(issuer, form, content)
            whole = (
                decoded(text)
                if form == "mso_mdoc"
                else b"".join(decoded(one) for one in text.replace(".", "~").split("~"))
            )
            for name in ("Müller", "Kühlen", "Şeyma"):
                assert name.encode() not in whole
            assert content.serial.encode() not in whole


def test_a_pseudonym_is_of_one_pass_and_one_city() -> None:
    first = pseudonym(city(), library_card())
    assert len(first) == 32
    assert first == pseudonym(city(), library_card())
    others = {
        pseudonym(city(tenant="bonn"), library_card()),
        pseudonym(city(), library_card(serial="0" * 32)),
        pseudonym(city(), permit("D-AB 123")),
    }
    assert first not in others
    assert len(others) == 3


def test_the_number_of_digests_tells_nobody_what_is_missing(issuer: Issuer) -> None:
    """Nobody learns from the signed part who has a second home, a doctorate or one plate instead of two."""

    def shape(credential: str) -> object:
        def of(value: Any) -> Any:
            if isinstance(value, dict):
                return {
                    name: len(one) if name == "_sd" else of(one)
                    for name, one in value.items()
                    if name != "..."
                }
            return [of(one) for one in value] if isinstance(value, list) else None

        return of(claims(credential)[0])

    parts = ("street", "house_number", "postal_code", "city")
    plain = dict.fromkeys(("doctoral_degree", "usual_given_name", *(f"secondary_{one}" for one in parts)), "")
    much, little = residence(), residence(plain)
    assert shape(issued(issuer, "dc+sd-jwt", much)) == shape(issued(issuer, "dc+sd-jwt", little))
    one, two = permit("D-AB 123"), permit("D-AB 123", "D-CD 4")
    assert shape(issued(issuer, "dc+sd-jwt", one)) == shape(issued(issuer, "dc+sd-jwt", two))

    def digests(credential: str) -> dict[str, int]:
        read = cbor2.loads(decoded(credential))
        security = cbor2.loads(cbor2.loads(read["issuerAuth"][2]).value)
        return {space: len(found) for space, found in security["valueDigests"].items()}

    assert digests(issued(issuer, "mso_mdoc", much)) == digests(issued(issuer, "mso_mdoc", little))


def test_addresses_are_nested_and_marked(issuer: Issuer) -> None:
    credential = issued(issuer, "dc+sd-jwt", residence())
    payload, told = claims(credential)
    token, *disclosures = credential.rstrip("~").split("~")
    assert token
    by_digest = {digest(one): json.loads(decoded(one)) for one in disclosures}
    shown = [by_digest.get(one["..."]) for one in payload["residences"]]
    assert [one and one[1]["kind"] for one in shown] == ["main", "secondary", None]
    # Inside an address each part is a digest of its own.
    assert shown[0] is not None
    assert set(shown[0][1]) == {"kind", "_sd"}
    assert told["doctoral_degree"] == "Dr."


def test_a_residence_without_its_main_address_is_refused(issuer: Issuer) -> None:
    for name in ("main_city", "family_name"):
        for form in BOTH:
            with pytest.raises(PassRefusal, match="CREDENTIAL_CLAIM_MISSING"):
                issued(issuer, form, residence({name: ""}))


def test_a_batch_has_one_credential_for_each_key_and_place(issuer: Issuer) -> None:
    keys = [ec.generate_private_key(ec.SECP256R1()).public_key() for _ in range(4)]
    factory = CredentialFactory(CARD, city(), issuer.identity)
    made = factory.issue(
        "dc+sd-jwt", library_card(), [binding(one, place) for place, one in enumerate(keys)], AT
    )
    payloads = [claims(one)[0] for one in made]
    assert [one["status"]["status_list"] for one in payloads] == [
        {"idx": place, "uri": LIST_URI} for place in range(4)
    ]
    assert len({one["cnf"]["jwk"]["x"] for one in payloads}) == 4
    # Nothing but key, place and random numbers tells them apart.
    for one in payloads:
        for name in ("cnf", "status", "_sd"):
            del one[name]
    assert all(one == payloads[0] for one in payloads)
    assert len({tuple(one.split("~")[1:]) for one in made}) == 4


def test_a_credential_lives_as_long_as_the_type_says(issuer: Issuer) -> None:
    factory = CredentialFactory(RESIDENCE, city(), issuer.identity)
    bound: list[Binding] = [binding(KEY)]
    content = residence(period=SAMPLES["library-card"].period)
    [made] = factory.issue("dc+sd-jwt", content, bound, AT)
    days = (claims(made)[0]["exp"] - claims(made)[0]["iat"]) / 86_400
    assert days == RESIDENCE.eudi.lifetime_days == 90
    [short] = factory.issue("dc+sd-jwt", content, bound, AT, lifetime=timedelta(hours=24))
    assert claims(short)[0]["exp"] == int(AT.timestamp()) + 86_400


@pytest.mark.parametrize("status", [one for one in PassStatus if one is not PassStatus.ACTIVE])
def test_only_a_running_pass_becomes_a_credential(issuer: Issuer, status: PassStatus) -> None:
    with pytest.raises(PassRefusal, match="CREDENTIAL_NOT_ACTIVE"):
        issued(issuer, "mso_mdoc", library_card(status=status))


def test_an_ended_pass_or_certificate_makes_none(issuer: Issuer) -> None:
    factory = CredentialFactory(CARD, city(), issuer.identity)
    with pytest.raises(PassRefusal, match="CREDENTIAL_PERIOD"):
        factory.issue("mso_mdoc", library_card(), [binding(KEY)], AT + timedelta(days=200))
    with pytest.raises(KeyRefusal, match="EUDI_CERTIFICATE_EXPIRED"):
        factory.issue("mso_mdoc", library_card(), [binding(KEY)], AT + timedelta(days=4000))


def test_a_demo_without_a_public_address_names_no_issuer(issuer: Issuer) -> None:
    payload, _ = claims(issued(issuer, "dc+sd-jwt", library_card(), base_url="http://127.0.0.1:8000"))
    assert "iss" not in payload
    with pytest.raises(PassRefusal, match="CREDENTIAL_ISSUER"):
        issued(issuer, "dc+sd-jwt", library_card(), base_url="https://elsewhere.example")


def test_a_format_the_type_does_not_have_is_refused(issuer: Issuer) -> None:
    spec = CARD.spec
    assert spec.eudi is not None
    one_format = msgspec.structs.replace(spec.eudi, formats=("mso_mdoc",), vct=None)
    from dataclasses import replace

    card = replace(CARD, spec=msgspec.structs.replace(spec, eudi=one_format))
    factory = CredentialFactory(card, city(), issuer.identity)
    with pytest.raises(PassRefusal, match="TYPE_FORMAT"):
        factory.issue("dc+sd-jwt", library_card(), [binding(KEY)], AT)


def test_a_residence_certificate_is_never_a_wallet_pass_or_letter() -> None:
    assert RESIDENCE.carriers == {"eudi", "seal"}
    with pytest.raises(PassRefusal, match="TYPE_CARRIER"):
        ApplePassFactory(RESIDENCE, city(), None, (), None)  # type: ignore[arg-type]
    with pytest.raises(PassRefusal, match="TYPE_CARRIER"):
        GooglePassFactory(RESIDENCE, city())
    with pytest.raises(PassRefusal, match="TYPE_CARRIER"):
        PdfFactory().render(RESIDENCE, residence(), city(), "de")
    assert PERMIT.carriers == CARD.carriers == {"apple", "google", "pdf", "seal", "eudi"}
