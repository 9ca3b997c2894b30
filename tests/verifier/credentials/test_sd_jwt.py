import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from passes.sd_jwt import TYP, decoded, encoded
from tests.eudi_wallet import AT, Issuer, Wallet, jws
from tests.verifier.credentials.asked import (
    AUDIENCE,
    NONCE,
    TYPE_IDS,
    check_text,
    issued,
    lists,
    refusal,
    vct,
)
from verifier.credentials.outcome import PresentationRefused, StatusVerdict


@pytest.fixture(scope="module")
def credential(issuer: Issuer, wallet: Wallet) -> str:
    return issued(issuer, wallet, "dc+sd-jwt")


@pytest.fixture(scope="module")
def shown(wallet: Wallet, credential: str) -> str:
    return wallet.show_sd_jwt(credential, ["card_number", "category"], AUDIENCE, NONCE)


@pytest.mark.parametrize("type_id", TYPE_IDS)
def test_all_of_a_credential_can_be_shown(issuer: Issuer, wallet: Wallet, type_id: str) -> None:
    made = issued(issuer, wallet, "dc+sd-jwt", type_id)
    presentation = wallet.show_sd_jwt(made, None, AUDIENCE, NONCE)
    found = check_text(issuer, presentation, type_id=type_id, status=lists(issuer))
    assert (found.type, found.status) == (vct(type_id), StatusVerdict.VALID)
    assert found.claims["issuing_authority"] == "Landeshauptstadt Düsseldorf"
    assert found.holder.public_numbers() == wallet.public_key.public_numbers()
    assert found.certificate == issuer.identity.certificate


def test_only_what_the_holder_shows_is_there(issuer: Issuer, shown: str) -> None:
    assert check_text(issuer, shown).claims == {
        "issuing_authority": "Landeshauptstadt Düsseldorf",
        "issuing_country": "DE",
        "card_number": "24711300000134",
        "category": "child",
    }


def test_of_two_addresses_one_can_be_shown(issuer: Issuer, wallet: Wallet) -> None:
    made = issued(issuer, wallet, "dc+sd-jwt", "residence-certificate")
    token, *disclosures = made.rstrip("~").split("~")
    # The main residence, and in it nothing but the town.
    read = [(one, json.loads(decoded(one))) for one in disclosures]
    main = next(one for one, told in read if len(told) == 2 and told[1].get("kind") == "main")
    digests = next(told[1]["_sd"] for one, told in read if one == main)
    town = next(
        one
        for one, told in read
        if encoded(hashlib.sha256(one.encode()).digest()) in digests and told[1] == "locality"
    )
    chosen = "~".join([token, main, town, ""])
    presentation = wallet.show_sd_jwt(chosen, None, AUDIENCE, NONCE)
    found = check_text(issuer, presentation, type_id="residence-certificate")
    assert found.claims["residences"] == [{"kind": "main", "locality": "Düsseldorf"}]
    assert "family_name" not in found.claims


def test_a_question_is_answered_for_one_verifier_and_one_nonce(issuer: Issuer, shown: str) -> None:
    assert (
        refusal(lambda: check_text(issuer, shown, audience="x509_hash:other")).code == "PRESENTATION_AUDIENCE"
    )
    assert refusal(lambda: check_text(issuer, shown, nonce="another")).code == "PRESENTATION_NONCE"
    # The whole client id with its prefix counts.
    assert (
        refusal(lambda: check_text(issuer, shown, audience=AUDIENCE.partition(":")[2])).code
        == "PRESENTATION_AUDIENCE"
    )


@pytest.mark.parametrize(
    ("seconds", "code"), [(-121, "PRESENTATION_OLD"), (301, "PRESENTATION_OLD"), (300, None), (-120, None)]
)
def test_a_presentation_is_made_now(issuer: Issuer, shown: str, seconds: int, code: str | None) -> None:
    at = AT + timedelta(seconds=seconds)
    if code is None:
        check_text(issuer, shown, at=at)
    else:
        assert refusal(lambda: check_text(issuer, shown, at=at)).code == code


def test_period_and_type_are_checked(issuer: Issuer, wallet: Wallet, credential: str, shown: str) -> None:
    late = replace(wallet, at=AT + timedelta(days=400))
    presentation = late.show_sd_jwt(credential, None, AUDIENCE, NONCE)
    assert refusal(lambda: check_text(issuer, presentation, at=late.at)).code == "PRESENTATION_EXPIRED"
    early = replace(wallet, at=AT - timedelta(days=2))
    presentation = early.show_sd_jwt(credential, None, AUDIENCE, NONCE)
    assert refusal(lambda: check_text(issuer, presentation, at=early.at)).code == "PRESENTATION_NOT_YET_VALID"
    found = refusal(lambda: check_text(issuer, shown, type_id="residence-certificate"))
    assert found.code == "PRESENTATION_TYPE"


def test_another_citys_credential_is_unknown(issuer: Issuer, other_issuer: Issuer, wallet: Wallet) -> None:
    made = issued(other_issuer, wallet, "dc+sd-jwt")
    presentation = wallet.show_sd_jwt(made, None, AUDIENCE, NONCE)
    assert refusal(lambda: check_text(issuer, presentation)).code == "PRESENTATION_UNKNOWN_ISSUER"


def test_a_stolen_credential_is_of_no_use(
    issuer: Issuer, wallet: Wallet, credential: str, shown: str
) -> None:
    thief = Wallet()
    stolen = thief.show_sd_jwt(credential, None, AUDIENCE, NONCE)
    assert refusal(lambda: check_text(issuer, stolen)).code == "PRESENTATION_HOLDER_FORGED"
    bare = credential
    assert refusal(lambda: check_text(issuer, bare)).code == "PRESENTATION_NO_HOLDER"
    # A key binding made over other disclosures.
    more = wallet.show_sd_jwt(credential, None, AUDIENCE, NONCE).rpartition("~")[0]
    moved = f"{more}~{shown.rpartition('~')[2]}"
    assert refusal(lambda: check_text(issuer, moved)).code == "PRESENTATION_HOLDER_FORGED"


Change = Callable[[dict[str, Any], dict[str, Any]], None]


def _signed_anew(issuer: Issuer, credential: str, change: Change) -> str:
    """The credential with header and payload changed, signed by the city all the same."""
    token, _, rest = credential.partition("~")
    header, payload = (json.loads(decoded(one)) for one in token.split(".")[:2])
    change(header, payload)
    signed = f"{encoded(json.dumps(header).encode())}.{encoded(json.dumps(payload).encode())}"
    return f"{signed}.{encoded(issuer.identity.signer.sign(signed.encode()))}~{rest}"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda head, _: head.update(alg="none"), "PRESENTATION_ALGORITHM"),
        (lambda head, _: head.update(alg="HS256"), "PRESENTATION_ALGORITHM"),
        (lambda head, _: head.update(alg="ES384"), "PRESENTATION_ALGORITHM"),
        (lambda head, _: head.update(typ="vc+sd-jwt"), "PRESENTATION_MALFORMED"),
        (lambda head, _: head.update(crit=["exp"]), "PRESENTATION_MALFORMED"),
        (lambda head, _: head.update(x5c=[]), "PRESENTATION_MALFORMED"),
        (lambda head, _: head.update(x5c=["!"]), "PRESENTATION_MALFORMED"),
        (lambda head, _: head.update(x5c=[1]), "PRESENTATION_MALFORMED"),
        (lambda head, _: head.pop("x5c"), "PRESENTATION_MALFORMED"),
        (lambda _, body: body.pop("cnf"), "PRESENTATION_NO_HOLDER"),
        (lambda _, body: body["cnf"].update(jwk={"kty": "oct", "k": "AA"}), "PRESENTATION_NO_HOLDER"),
        (lambda _, body: body["cnf"]["jwk"].update(d=body["cnf"]["jwk"]["x"]), "PRESENTATION_NO_HOLDER"),
        (lambda _, body: body.pop("exp"), "PRESENTATION_MALFORMED"),
        (lambda _, body: body.update(exp="tomorrow"), "PRESENTATION_MALFORMED"),
        (lambda _, body: body.update(exp=True), "PRESENTATION_MALFORMED"),
        (lambda _, body: body.update(_sd_alg="md5"), "PRESENTATION_ALGORITHM"),
        (lambda _, body: body["_sd"].append(body["_sd"][0]), "PRESENTATION_DISCLOSURE"),
        (lambda _, body: body["_sd"].append(7), "PRESENTATION_DISCLOSURE"),
        (lambda _, body: body.update(_sd="no array"), "PRESENTATION_DISCLOSURE"),
        (lambda _, body: body.update({"...": "AA"}), "PRESENTATION_DISCLOSURE"),
        (lambda _, body: body.update(more={"_sd_alg": "sha-256"}), "PRESENTATION_DISCLOSURE"),
        (lambda _, body: body.update(more=[{"...": "AA", "beside": 1}]), "PRESENTATION_DISCLOSURE"),
        (lambda _, body: body.update(more=[{"...": body["_sd"][0]}]), "PRESENTATION_DISCLOSURE"),
    ],
)  # fmt: skip
def test_a_credential_of_another_form_is_refused(
    issuer: Issuer, wallet: Wallet, credential: str, change: Change, code: str
) -> None:
    made = _signed_anew(issuer, credential, change)
    presentation = wallet.show_sd_jwt(made, None, AUDIENCE, NONCE)
    assert refusal(lambda: check_text(issuer, presentation)).code == code


def _with_disclosure(issuer: Issuer, credential: str, content: object, place: str = "top") -> str:
    """The credential with one disclosure more, which the city's signature covers."""
    disclosure = encoded(json.dumps(content).encode())
    told = encoded(hashlib.sha256(disclosure.encode()).digest())

    def change(_: dict[str, Any], body: dict[str, Any]) -> None:
        if place == "top":
            body["_sd"].append(told)
        elif place == "array":
            body["more"] = [{"...": told}]

    return _signed_anew(issuer, credential, change) + disclosure + "~"


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (["salt", "_sd", ["AA"]], "top"),
        (["salt", "...", "AA"], "top"),
        (["salt", "_sd_alg", "md5"], "top"),
        (["salt", "exp", 99999999999], "top"),
        (["salt", "vct", "urn:other"], "top"),
        (["salt", "issuing_country", "XX"], "top"),
        (["salt", "card_number", "twice"], "top"),
        (["salt", 7, "value"], "top"),
        (["salt", "an element"], "top"),
        (["salt", "name", "value"], "array"),
        ([1, "name", "value"], "top"),
        (["salt"], "top"),
        ({"no": "array"}, "top"),
        (["salt", "name", "value"], "nowhere"),
    ],
)
def test_a_disclosure_that_does_not_belong_is_refused(
    issuer: Issuer, wallet: Wallet, credential: str, content: object, place: str
) -> None:
    made = _with_disclosure(issuer, credential, content, place)
    presentation = wallet.show_sd_jwt(made, None, AUDIENCE, NONCE)
    assert refusal(lambda: check_text(issuer, presentation)).code == "PRESENTATION_DISCLOSURE"


def test_a_disclosure_counts_once(issuer: Issuer, wallet: Wallet, credential: str) -> None:
    twice = credential + credential.split("~")[1] + "~"
    presentation = wallet.show_sd_jwt(twice, None, AUDIENCE, NONCE)
    found = refusal(lambda: check_text(issuer, presentation))
    assert (found.code, found.params["fault"]) == ("PRESENTATION_DISCLOSURE", "disclosed twice")


def test_a_name_twice_in_json_is_refused(issuer: Issuer, wallet: Wallet, credential: str) -> None:
    token, _, rest = credential.partition("~")
    head, body, _ = token.split(".")
    doubled = decoded(body)[:-1] + b',"exp":99999999999}'
    signed = f"{head}.{encoded(doubled)}"
    made = f"{signed}.{encoded(issuer.identity.signer.sign(signed.encode()))}~{rest}"
    presentation = wallet.show_sd_jwt(made, None, AUDIENCE, NONCE)
    assert refusal(lambda: check_text(issuer, presentation)).code == "PRESENTATION_MALFORMED"


def test_the_wallet_signs_with_its_own_kind_of_key(issuer: Issuer, wallet: Wallet, shown: str) -> None:
    covered, _, binding = shown.rpartition("~")
    payload = json.loads(decoded(binding.split(".")[1]))
    for header in ({"alg": "none", "typ": "kb+jwt"}, {"alg": "ES256", "typ": "JWT"}, {"alg": "ES256"}):
        presentation = f"{covered}~{jws(wallet.key, header, payload)}"
        assert refusal(lambda one=presentation: check_text(issuer, one)).code in (  # type: ignore[misc]
            "PRESENTATION_ALGORITHM",
            "PRESENTATION_MALFORMED",
        )
    other = ec.generate_private_key(ec.SECP256R1())
    presentation = f"{covered}~{jws(other, {'alg': 'ES256', 'typ': 'kb+jwt'}, payload)}"
    assert refusal(lambda: check_text(issuer, presentation)).code == "PRESENTATION_HOLDER_FORGED"


def test_a_leaf_that_vouches_for_itself_is_refused(issuer: Issuer, wallet: Wallet, credential: str) -> None:
    from base64 import b64encode

    from cryptography.hazmat.primitives.serialization import Encoding

    root = b64encode(issuer.authority.root.public_bytes(Encoding.DER)).decode()
    made = _signed_anew(issuer, credential, lambda head, _: head.update(x5c=[root]))
    presentation = wallet.show_sd_jwt(made, None, AUDIENCE, NONCE)
    assert refusal(lambda: check_text(issuer, presentation)).code == "PRESENTATION_SELF_SIGNED"


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_no_changed_character_is_accepted(issuer: Issuer, shown: str) -> None:
    check_text(issuer, shown)
    for place in range(len(shown)):
        for other in ("A", "B", "~", ".", "é"):
            if shown[place] != other:
                changed = shown[:place] + other + shown[place + 1 :]
                with pytest.raises(PresentationRefused):
                    check_text(issuer, changed)
                break


@pytest.mark.parametrize(
    "text", ["", "~", "~~", "a", ".~.", "...", "a.b.c~", "ä~", "{}~", "x" * 200_000, "e30.e30.AA~"]
)
def test_what_is_no_presentation_is_refused(issuer: Issuer, text: str) -> None:
    assert refusal(lambda: check_text(issuer, text)).code in (
        "PRESENTATION_MALFORMED",
        "PRESENTATION_ALGORITHM",
    )


@given(st.text(alphabet="abcEYJ0.~_-9", max_size=200) | st.text(max_size=60))
def test_no_text_is_more_than_refused(text: str) -> None:
    from verifier.credentials.jose import read_jws

    with pytest.raises(PresentationRefused):
        read_jws(text.partition("~")[0], TYP)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.text(max_size=40) | st.just("WyJhIiwiYiIsImMiXQ"), max_size=4))
def test_no_disclosures_are_more_than_refused(issuer: Issuer, wallet: Wallet, texts: list[str]) -> None:
    from verifier.credentials.disclosures import disclosed_claims

    plain = [one for one in texts if one.isascii()]
    if plain:
        with pytest.raises(PresentationRefused):
            disclosed_claims({"_sd": [], "a": [1, {"b": None}]}, plain)
