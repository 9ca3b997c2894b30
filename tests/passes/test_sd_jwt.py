import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws as joserfc_jws
from joserfc.jwk import ECKey

from passes.credential_frame import StatusReference, Validity, holder_key, validity
from passes.errors import PassRefusal
from passes.sd_jwt import DECOY, Claim, Selective, decoded, digest, encoded, issue
from tests.eudi_wallet import AT, CITY_URL, Issuer

HOLDER = ec.generate_private_key(ec.SECP256R1()).public_key()
TIMES = Validity(1_795_132_800, 1_795_132_800, 1_822_428_000)


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer.new(tmp_path_factory.mktemp("issuer"))


def made(
    city: Issuer, claims: dict[str, Claim], **changes: Any
) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Header, payload and disclosures of a credential, read without any of our own code."""
    values: dict[str, Any] = {
        "vct": "urn:example:1",
        "vct_integrity": "sha256-AA==",
        "claims": claims,
        "holder": HOLDER,
        "validity": TIMES,
        "status": StatusReference(f"{CITY_URL}/s/1", 7),
    }
    token, *disclosures, last = issue(city.identity, **(values | changes)).split("~")
    assert last == ""
    public = city.identity.certificate.public_key()
    key = ECKey.import_key(_jwk(public))
    registry = joserfc_jws.JWSRegistry(algorithms=["ES256"])
    registry.max_header_length = 4096  # type: ignore[misc]
    read = joserfc_jws.deserialize_compact(token, key, registry=registry)
    return dict(read.protected), json.loads(read.payload), disclosures


def _jwk(public: Any) -> dict[str, str]:
    numbers = public.public_numbers()
    x, y = (encoded(one.to_bytes(32, "big")) for one in (numbers.x, numbers.y))
    return {"kty": "EC", "crv": "P-256", "x": x, "y": y}


def test_header_and_frame_are_those_of_the_profile(issuer: Issuer) -> None:
    header, payload, disclosures = made(issuer, {}, issuer=CITY_URL)
    assert header == {"alg": "ES256", "typ": "dc+sd-jwt", "x5c": list(issuer.identity.x5c)}
    assert len(header["x5c"]) == 1
    assert payload == {
        "iss": CITY_URL,
        "vct": "urn:example:1",
        "vct#integrity": "sha256-AA==",
        "iat": TIMES.issued_at,
        "nbf": TIMES.not_before,
        "exp": TIMES.expires,
        "cnf": {"jwk": _jwk(HOLDER)},
        "status": {"status_list": {"idx": 7, "uri": f"{CITY_URL}/s/1"}},
    }
    assert disclosures == []


def test_what_can_be_withheld_stands_in_digests_alone(issuer: Issuer) -> None:
    claims: dict[str, Claim] = {
        "open": "seen",
        "name": Selective("Müller"),
        "home": Selective({"town": Selective("Köln"), "country": "DE", "more": DECOY}),
        "plates": [Selective("D-AB 1"), "D-CD 2", DECOY],
    }
    _, payload, disclosures = made(issuer, claims)
    assert payload["open"] == "seen"
    assert payload["_sd_alg"] == "sha-256"
    assert "Müller" not in json.dumps(payload, ensure_ascii=False)
    assert payload["plates"][1] == "D-CD 2"
    assert [set(one) for one in (payload["plates"][0], payload["plates"][2])] == [{"..."}, {"..."}]
    contents = [json.loads(decoded(one)) for one in disclosures]
    home = next(one for one in contents if one[1] == "home")
    assert set(home[2]) == {"country", "_sd"}
    assert len(home[2]["_sd"]) == 2
    told = {digest(one) for one in disclosures}
    assert len(disclosures) == 4
    assert (
        digest(next(one for one in disclosures if json.loads(decoded(one))[1:] == ["town", "Köln"]))
        in home[2]["_sd"]
    )
    # Every disclosure is behind one digest, and there are digests with nothing behind them.
    everywhere = {
        *payload["_sd"],
        *home[2]["_sd"],
        *(one["..."] for one in payload["plates"] if isinstance(one, dict)),
    }
    assert told < everywhere
    assert all(len(decoded(one)) == 32 for one in everywhere)


def test_salts_are_random_and_digests_out_of_order(issuer: Issuer) -> None:
    claims: dict[str, Claim] = {f"claim_{place}": Selective(place) for place in range(8)}
    orders = set()
    salts: list[str] = []
    for _ in range(20):
        _, payload, disclosures = made(issuer, claims)
        names = {digest(one): json.loads(decoded(one))[1] for one in disclosures}
        orders.add(tuple(names[one] for one in payload["_sd"]))
        salts += [json.loads(decoded(one))[0] for one in disclosures]
    assert len(orders) > 15
    assert len(set(salts)) == len(salts) == 160
    assert all(len(decoded(one)) == 16 for one in salts)


@pytest.mark.parametrize("name", ["iss", "exp", "cnf", "status", "vct", "_sd", "...", "_sd_alg"])
def test_a_claim_cannot_be_called_like_the_formats_own(issuer: Issuer, name: str) -> None:
    with pytest.raises(PassRefusal, match="CREDENTIAL_CLAIM"):
        made(issuer, {name: Selective("x")})


@pytest.mark.parametrize(
    "url", ["https://other.example", "http://ausweise.stadt.example", "ausweise.stadt.example"]
)
def test_the_issuer_is_one_the_certificate_names(issuer: Issuer, url: str) -> None:
    with pytest.raises(PassRefusal, match="CREDENTIAL_ISSUER"):
        made(issuer, {}, issuer=url)


def test_a_key_of_another_curve_is_not_bound(issuer: Issuer) -> None:
    with pytest.raises(PassRefusal, match="HOLDER_KEY"):
        made(issuer, {}, holder=ec.generate_private_key(ec.SECP384R1()).public_key())


def test_only_the_public_half_of_a_p256_key_is_a_holder_key() -> None:
    good = _jwk(HOLDER)
    assert holder_key(good).public_numbers() == HOLDER.public_numbers()
    p384 = ec.generate_private_key(ec.SECP384R1()).public_key().public_numbers()
    bad: list[dict[str, Any]] = [
        {},
        {"kty": "oct", "k": "AA"},
        {"kty": "RSA", "n": "AA", "e": "AQAB"},
        good | {"d": good["x"]},
        good | {"crv": "P-384"},
        good | {"x": encoded(bytes(32))},
        {name: value for name, value in good.items() if name != "y"},
        {
            "kty": "EC",
            "crv": "P-384",
            "x": encoded(p384.x.to_bytes(48, "big")),
            "y": encoded(p384.y.to_bytes(48, "big")),
        },
        good | {"x": 7},
    ]
    for jwk in bad:
        with pytest.raises(PassRefusal, match="HOLDER_KEY"):
            holder_key(jwk)


# --- times


def at(day: int, hour: int = 12, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, second, tzinfo=UTC)


def test_two_people_of_one_day_get_the_same_times(issuer: Issuer) -> None:
    first, end = at(1), at(1) + timedelta(days=200)
    early = validity(issuer.identity, at(20, 8, 1, 2), first, end, timedelta(days=90))
    late = validity(issuer.identity, at(20, 17, 59, 59), first, end, timedelta(days=90))
    assert early == late
    assert early.issued_at == early.not_before == int(at(20, 0).timestamp())
    assert early.expires == int((at(20, 0) + timedelta(days=90)).timestamp())


def test_no_credential_outlives_the_right_or_begins_before_it(issuer: Issuer) -> None:
    made = validity(issuer.identity, at(20), at(22, 23), at(29, 23), timedelta(days=365))
    assert (made.not_before, made.expires) == (int(at(22, 23).timestamp()), int(at(29, 23).timestamp()))
    short = validity(issuer.identity, at(20, 11, 30), at(1), at(29, 23), timedelta(hours=24))
    assert short.expires == int(at(21, 11).timestamp())


@pytest.mark.parametrize("end", [at(20, 11, 59), at(20, 12), at(20, 12, 30), at(1)])
def test_a_credential_that_would_have_ended_is_refused(issuer: Issuer, end: datetime) -> None:
    with pytest.raises(PassRefusal, match="CREDENTIAL_PERIOD"):
        validity(issuer.identity, at(20), at(1), end, timedelta(days=30))


@given(
    st.datetimes(AT.replace(tzinfo=None), (AT + timedelta(days=3000)).replace(tzinfo=None)),
    st.integers(-500, 500),
    st.integers(1, 5000),
    st.integers(3600, 400 * 86_400),
)
def test_times_stay_inside_certificate_and_right(
    now: datetime, first: int, length: int, lifetime: int
) -> None:
    identity = _kept().identity
    moment = now.replace(tzinfo=UTC)
    begins = moment + timedelta(days=first)
    ends = begins + timedelta(days=length)
    try:
        found = validity(identity, moment, begins, ends, timedelta(seconds=lifetime))
    except PassRefusal:
        return
    assert identity.not_before.timestamp() <= found.issued_at <= moment.timestamp()
    assert found.issued_at <= found.not_before < found.expires
    assert found.expires <= min(ends, identity.not_after).timestamp()
    assert moment.timestamp() < found.expires
    assert found.not_before <= max(moment, begins).timestamp()
    assert found.expires % 3600 == 0


_KEPT: list[Issuer] = []


def _kept() -> Issuer:
    if not _KEPT:
        import tempfile

        _KEPT.append(Issuer.new(Path(tempfile.mkdtemp())))
    return _KEPT[0]


def test_digests_are_over_the_characters_of_the_disclosure() -> None:
    # RFC 9901, 4.2.3 and 5.1.
    disclosure = "WyIyR0xDNDJzS1F2ZUNmR2ZyeU5STjl3IiwgImdpdmVuX25hbWUiLCAiSm9obiJd"
    assert digest(disclosure) == "jsu9yVulwQQlhFlM_3JlzMaSFzglhQG0DpfayQwLUK4"
    assert digest(disclosure) == encoded(hashlib.sha256(disclosure.encode()).digest())


@pytest.mark.parametrize("text", ["A", "AB", "AAA=", "AA\n", "AA==", "A+/A", "Ä"])
def test_base64url_has_one_spelling(text: str) -> None:
    with pytest.raises(ValueError):
        decoded(text)
