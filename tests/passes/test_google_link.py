"""The save link: a JWT that Google accepts, short enough to survive a browser."""

import json
from base64 import urlsafe_b64decode
from datetime import UTC, datetime
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from keys.store import Algorithm
from passes.errors import PassRefusal
from passes.google import GooglePassFactory
from passes.google_link import fat_link, skinny_link, skinny_links
from passes.rotating import KEY_BYTES
from tests.passes.carrier_samples import CARD, PERMIT, city, library_card, permit
from tests.passes.google_schema import faults

NOW = datetime(2026, 11, 20, 12, 0, 0, 999_999, tzinfo=UTC)
BROWSER_LIMIT = 1800


class RsaSigner:
    """A service account's key in memory."""

    algorithm = Algorithm.RS256

    def __init__(self, bits: int = 2048) -> None:
        self.key = rsa.generate_private_key(65537, bits)

    @property
    def uri(self) -> Any:
        raise NotImplementedError

    def public_key(self) -> rsa.RSAPublicKey:
        return self.key.public_key()

    def sign(self, data: bytes) -> bytes:
        return self.key.sign(data, padding.PKCS1v15(), SHA256())


@cache
def signer(bits: int = 2048) -> RsaSigner:
    return RsaSigner(bits)


def opened(link: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a link whose signature holds; raises InvalidSignature if it does not."""
    jwt = link.removeprefix("https://pay.google.com/gp/v/save/")
    assert jwt != link
    assert "=" not in jwt
    header, claims, signature = (
        urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in jwt.encode().decode().split(".")
    )
    signer().public_key().verify(signature, jwt.rsplit(".", 1)[0].encode(), padding.PKCS1v15(), SHA256())
    return json.loads(header), json.loads(claims)


def skinny(**changes: Any) -> str:
    values = {"object_id": "3388.abc", "class_id": "3388.type", "issued_at": NOW} | changes
    return skinny_link(values.pop("signer", signer()), values.pop("city", city()), **values)


def test_the_skinny_link_names_the_ids_and_nothing_else() -> None:
    header, claims = opened(skinny())
    assert header == {"alg": "RS256", "typ": "JWT"}
    assert claims == {
        "iss": "wallet@stadt-example.iam.gserviceaccount.com",
        "aud": "google",
        "typ": "savetowallet",
        "iat": int(NOW.timestamp()),
        "origins": ["https://ausweise.stadt.example"],
        "payload": {"genericObjects": [{"id": "3388.abc", "classId": "3388.type"}]},
    }
    assert type(claims["iat"]) is int
    assert opened(skinny(key_id="0a1b"))[0]["kid"] == "0a1b"


def test_the_longest_ids_still_fit() -> None:
    long_names = city(
        google_issuer_id="9" * 20,
        tenant="t" * 38,
        google_service_account="a" * 30 + "@" + "p" * 30 + ".iam.gserviceaccount.com",
        base_url="https://" + "u" * 60 + ".stadt.example:8443/pfad",
    )
    factory = GooglePassFactory(PERMIT, long_names)
    link = skinny(
        city=long_names,
        object_id=factory.google_object(permit("D-AB 123", serial="f" * 80))["id"],
        class_id=factory.class_id,
        key_id="e" * 40,
    )
    assert len(link.rsplit("/", 1)[1]) < BROWSER_LIMIT
    opened(link)


def test_a_link_that_a_browser_would_cut_off_is_refused() -> None:
    fits = max(size for size in range(700, 1000) if not too_long("c" * size))
    assert len(skinny(class_id="c" * fits).rsplit("/", 1)[1]) < BROWSER_LIMIT
    assert too_long("c" * (fits + 3))


@pytest.mark.parametrize("count", [1, 2, 5, 7, 8, 12, 30])
def test_several_objects_stand_in_as_few_links_as_they_fit_into(count: int) -> None:
    objects = [(f"3388000000000000000.{one:032x}", "3388000000000000000.stadt.card") for one in range(count)]
    links = skinny_links(signer(), city(), objects, issued_at=NOW)
    assert all(len(link.rsplit("/", 1)[1]) < BROWSER_LIMIT for link in links)
    told = [opened(link)[1]["payload"]["genericObjects"] for link in links]
    assert [(one["id"], one["classId"]) for part in told for one in part] == objects
    # A family with five children needs one link, and no link is left as long as the next pass fits into it.
    assert count > 6 or len(links) == 1
    for part, following in pairwise(told):
        ids = [(one["id"], one["classId"]) for one in [*part, following[0]]]
        assert len(skinny_links(signer(), city(), ids, issued_at=NOW)) == 2


def test_one_object_that_is_too_long_is_refused_wherever_it_stands() -> None:
    for place in range(3):
        objects = [("3388.abc", "3388.type")] * 2
        objects.insert(place, ("3388.abc", "c" * 1800))
        with pytest.raises(PassRefusal) as refused:
            skinny_links(signer(), city(), objects, issued_at=NOW)
        assert refused.value.code == "GOOGLE_LINK_LENGTH"
    with pytest.raises(ValueError, match="one object"):
        skinny_links(signer(), city(), [], issued_at=NOW)


def too_long(class_id: str) -> bool:
    try:
        skinny(class_id=class_id)
    except PassRefusal as refused:
        assert refused.code == "GOOGLE_LINK_LENGTH"
        assert str(BROWSER_LIMIT - 1) in refused.sentence("de")
        return True
    return False


def test_the_fat_link_carries_class_and_object_whole() -> None:
    for pass_type, content in ((PERMIT, permit("D-AB 123")), (CARD, library_card())):
        factory = GooglePassFactory(pass_type, city())
        made = {"google_class": factory.google_class(), "google_object": factory.google_object(content)}
        _, claims = opened(fat_link(signer(), city(), issued_at=NOW, **made))
        assert claims["payload"] == {
            "genericClasses": [made["google_class"]],
            "genericObjects": [made["google_object"]],
        }
        assert faults("GenericClass", claims["payload"]["genericClasses"][0]) == []
        assert faults("GenericObject", claims["payload"]["genericObjects"][0]) == []


def test_a_changed_link_does_not_verify() -> None:
    link = skinny()
    place = link.index(".", len("https://pay.google.com/gp/v/save/")) + 20
    changed = link[:place] + ("A" if link[place] != "A" else "B") + link[place + 1 :]
    with pytest.raises(InvalidSignature):
        opened(changed)


def test_the_secret_of_a_rotating_code_never_stands_in_a_link() -> None:
    wants = city(google_rotating_barcode=True)
    factory = GooglePassFactory(PERMIT, wants)
    made = factory.google_object(permit("D-AB 123"), bytes(KEY_BYTES))
    with pytest.raises(PassRefusal) as refused:
        fat_link(signer(), wants, google_class=factory.google_class(), google_object=made, issued_at=NOW)
    assert refused.value.code == "GOOGLE_LINK_ROTATING"


def test_wrong_keys_accounts_and_times_are_refused() -> None:
    class EcSigner(RsaSigner):
        algorithm = Algorithm.ES256

        def __init__(self) -> None:
            self.ec_key = ec.generate_private_key(ec.SECP256R1())

    for code, changes in (
        ("GOOGLE_LINK_KEY", {"signer": EcSigner()}),
        ("GOOGLE_LINK_ACCOUNT", {"city": city(google_service_account="")}),
    ):
        with pytest.raises(PassRefusal) as refused:
            skinny(**changes)
        assert refused.value.code == code
        assert refused.value.sentence("de") != refused.value.sentence("en")
    with pytest.raises(ValueError, match="aware"):
        skinny(issued_at=NOW.replace(tzinfo=None))
