import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import cbor2
import claim169
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from keys import cose, es256
from passes import base45
from passes.errors import PassRefusal
from passes.periods import Period
from passes.plates import Plate
from passes.qr import qr_version
from passes.seal import (
    MAX_BYTES,
    MalformedSeal,
    NotASeal,
    SealContent,
    SealedPerson,
    Sealer,
    read_seal,
    seconds,
)
from passes.seasons import Season
from tests.trust_factory import NOW, PLATE, City, Key, each_bit_flipped, permit
from verifier.seal_check import check_seal
from verifier.trust import Trust
from verifier.verdict import Colour

KEY = Key()
SEALER = Sealer(KEY, KEY.kid)


def token_of(text: str) -> bytes:
    return base45.decode(text.removeprefix("SP1:"))


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> City:
    return City(tmp_path_factory.mktemp("city")).publish()


@pytest.fixture(scope="module")
def trust(city: City) -> Trust:
    return city.trust()


@pytest.mark.parametrize(
    "content",
    [
        permit(),
        permit(zone=None, plates=(), organisation="Stadtteilauto Musterstadt e. G."),
        permit(plates=(PLATE, Plate("ÖHR", "X", "1", "E")), seasons=(None, Season(10, 3))),
        permit(type_code=2, plates=(), zone=None, card_number="2900123456789"),
        permit(further={8: "Ä ö", 9: -5, 255: True}, status_list=0, status_index=0),
        permit(plates=tuple(Plate("D", "AB", str(number)) for number in range(1, 9))),
    ],
)
def test_what_is_sealed_is_read(content: SealContent) -> None:
    read = read_seal(SEALER.seal(content))
    assert read.content == content
    assert read.message.kid == KEY.kid
    read.message.verify(KEY.public)


def test_layout_is_the_published_one() -> None:
    content = permit(plates=(PLATE, Plate("MÜ", "X", "1")), seasons=(Season(4, 10), None), organisation="o")
    tag = cbor2.loads(token_of(SEALER.seal(content)))
    protected, unprotected, payload, signature = tag.value
    assert tag.tag == 18
    assert cbor2.loads(protected) == {1: -7, 4: KEY.kid}
    assert unprotected == {}
    assert len(signature) == 64
    assert cbor2.loads(payload) == {
        4: content.expires,
        5: content.not_before,
        6: content.issued_at,
        -65537: {
            0: 1,
            1: "BP-2026-000123",
            2: ["D-AB 123", "MÜ-X 1"],
            3: "MÜ1",
            4: [[4, 10], None],
            5: "o",
            7: [17, 523881],
        },
    }


ERIKA = SealedPerson("Dr. Erika Müller-Özdağ", date(1984, 2, 29), ("Große Straße 7", "40213 Düsseldorf"))


def test_a_proof_has_the_person_in_the_registered_claim_and_nowhere_else() -> None:
    sealed = SEALER.seal(permit(plates=(), zone=None, person=ERIKA))
    payload = cbor2.loads(cbor2.loads(token_of(sealed)).value[2])
    assert payload[169] == {
        4: "Dr. Erika Müller-Özdağ", 8: "19840229", 10: "Große Straße 7\n40213 Düsseldorf",
    }  # fmt: skip
    assert set(payload) == {4, 5, 6, 169, -65537}
    assert payload[-65537].keys() == {0, 1, 7}
    assert read_seal(sealed).content.person == ERIKA
    assert qr_version(sealed) <= 11
    assert "Erika" not in repr(read_seal(sealed).content)


def test_another_implementation_reads_the_person() -> None:
    sealed = SEALER.seal(permit(plates=(), zone=None, person=ERIKA))
    pem = KEY.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    found = claim169.decode_with_ecdsa_p256_pem(sealed.removeprefix("SP1:"), pem)
    assert str(found.verification_status) == "verified"
    told = found.claim169
    assert (told.full_name, told.date_of_birth) == ("Dr. Erika Müller-Özdağ", "19840229")
    assert told.address == "Große Straße 7\n40213 Düsseldorf"


def test_sizes_stay_within_what_a_wallet_shows_well() -> None:
    longest = Plate("ABC", "DE", "123")
    one = SEALER.seal(permit(plates=(longest,), zone="MÜ12", number="BP-2026-000123", status_list=0xFFFF))
    assert len(token_of(one)) <= 160
    assert qr_version(one) <= 9
    two = SEALER.seal(permit(plates=(longest, longest), seasons=(Season(4, 10), Season(10, 3))))
    assert qr_version(two) <= 10
    sharing = SEALER.seal(permit(plates=(), organisation="Carsharing Musterstadt GmbH", zone="MÜ1"))
    assert qr_version(sharing) <= 10


LARGE = 1 << 32
FAULTS: list[dict[str, object]] = [
    {"number": ""}, {"number": "a b"}, {"number": "x" * 41}, {"number": "ä"}, {"number": None}, {"number": "x\n"},
    {"type_code": 0}, {"type_code": 65536}, {"type_code": True}, {"type_code": "1"},
    {"issued_at": -1}, {"issued_at": 1.5}, {"issued_at": 8_000_000_000}, {"expires": None}, {"expires": 1 << 40},
    {"not_before": 2_000_000_000, "expires": 2_000_000_000}, {"not_before": 2_000_000_001, "expires": 2_000_000_000},
    {"status_list": -1}, {"status_list": 65536}, {"status_index": LARGE}, {"status_index": True},
    {"zone": ""}, {"zone": "M" * 13}, {"zone": unicodedata.normalize("NFD", "MÜ")}, {"zone": "A\u202eB"}, {"zone": 1},
    {"zone": "A\tB"}, {"organisation": ""}, {"organisation": "x" * 121}, {"organisation": "a\nb"},
    {"card_number": ""}, {"card_number": "1" * 41}, {"card_number": 123},
    {"plates": (PLATE,) * 9}, {"plates": ("D-AB 123",)}, {"plates": (PLATE,), "seasons": (None, None)},
    {"plates": (PLATE,), "seasons": ((4, 10),)}, {"plates": (), "seasons": (Season(4, 10),)},
    {"further": {7: 1}}, {"further": {0: 5}}, {"further": {256: 1}}, {"further": {"8": 1}}, {"further": {8: None}},
    {"further": {8: 1.5}}, {"further": {8: [1]}}, {"further": {8: "e\u0301"}}, {"further": {8: 1 << 53}},
    {"further": {8: "\ud800"}}, {"further": {True: 1}}, {"further": None},
    *({"person": replace(ERIKA, **change)} for change in (
        {"full_name": ""}, {"full_name": "x" * 201}, {"full_name": "E\u0308"}, {"full_name": "a\nb"},
        {"full_name": 1}, {"birth_date": date(999, 1, 1)}, {"birth_date": None}, {"birth_date": "19840229"},
        {"address": ()}, {"address": ("",)}, {"address": ("a\nb",) * 4}, {"address": ("x" * 121,)},
        {"address": ("x",) * 7},
    )),
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
def test_refuses_to_seal_what_the_reader_would_refuse(fault: dict[str, object]) -> None:
    with pytest.raises(MalformedSeal):
        SEALER.seal(replace(permit(), **{"seasons": (), **fault}))


def test_refuses_to_seal_more_than_fits() -> None:
    with pytest.raises(PassRefusal) as refused:
        SEALER.seal(permit(organisation="x" * 120, further={8: "ü" * 120, 9: "y" * 120}))
    assert refused.value.code == "SEAL_TOO_LARGE"


BODY = {0: 1, 1: "N", 7: [17, 5]}
PERSON = {4: "Erika Müller", 8: "19840229", 10: "Große Straße 7\n40213 Düsseldorf"}
CLAIMS = {4: 2_000_000_000, 5: 1_000_000_000, 6: 1_000_000_000, -65537: BODY}


def _signed(claims: object, **header: object) -> str:
    return "SP1:" + base45.encode(cose.sign1(KEY, KEY.kid, cose.encode(claims), **header))  # type: ignore[arg-type]


def test_the_smallest_claims_are_read() -> None:
    assert read_seal(_signed(CLAIMS)).content.number == "N"
    assert read_seal(_signed({**CLAIMS, 169: PERSON})).content.person is not None


@pytest.mark.parametrize(
    "claims",
    [
        [], 1, None, {}, {**CLAIMS, 1: "iss"}, {key: CLAIMS[key] for key in (4, 5, 6)}, {**CLAIMS, -65537: []},
        {**CLAIMS, 4: "2"}, {**CLAIMS, 4: True}, {**CLAIMS, 5: 2_000_000_000},
        *({**CLAIMS, -65537: {**BODY, key: value}} for key, value in [
            (0, "1"), (0, 0), (1, b"N"), (1, "N N"), (7, [17]), (7, [17, 5, 0]), (7, b"\x11\x05"), (7, {17: 1, 5: 2}),
            (7, "17"), (7, [True, 1]), (2, []), (2, ["D-AB  123"]), (2, ["d-ab 123"]), (2, [b"D-AB 123"]),
            (2, "D-AB 123"), (2, ["D-AB 123"] * 9), (2, ["D-AB 0123"]), (2, {"D-AB 123": 1}), (4, [None]),
            (3, None), (3, ""), (3, b"MU"),
            (5, None), (6, None), (8, None), (8, []), (256, 1), (-1, 1), ("x", 1), (3, "U\u0308"), (8, 1 << 53),
        ]),
        *({**CLAIMS, 169: {**PERSON, key: value}} for key, value in [
            (1, "4711"), (4, ""), (4, None), (4, "x" * 201), (8, "1984-02-29"), (8, "19850229"), (8, "19841301"),
            (8, 19840229), (8, "09840229"), (10, ""), (10, "a\n\nb"), (10, "a\r\nb"), (10, None), (10, "x" * 121),
            (10, "a\n" * 6 + "a"), (16, b"photo"),
        ]),
        *({**CLAIMS, 169: {key: PERSON[key] for key in PERSON if key != left}} for left in (4, 8, 10)),
        {**CLAIMS, 169: []}, {**CLAIMS, 169: None}, {**CLAIMS, 1: "iss", 169: {4: "A", 8: "19840229", 10: "B"}},
        *({**CLAIMS, -65537: {**BODY, 2: ["D-AB 123"], 4: seasons}} for seasons in [
            [None], [], [[4, 10], None], [[4]], [[4, 13]], [[4, 4]], [["4", 10]], [b"\x04\x0a"],
            {0: [4, 10]}, [[True, 10]],
        ]),
    ],
    ids=repr,
)  # fmt: skip
def test_signed_claims_that_no_issuer_writes_are_malformed(claims: object) -> None:
    with pytest.raises(MalformedSeal):
        read_seal(_signed(claims))


def test_a_seal_has_no_type_header() -> None:
    with pytest.raises(MalformedSeal):
        read_seal(_signed(CLAIMS, typ="application/statuslist+cwt"))


@pytest.mark.parametrize(
    "text", ["", "https://look-alike.example/v?p=SP1:AB", "sp1:AB", " SP1:AB", "SP2:AB", "SP1", "HC1:6BF"]
)
def test_other_codes_are_no_seals(text: str) -> None:
    with pytest.raises(NotASeal):
        read_seal(text)


def test_size_is_judged_before_anything_is_decoded() -> None:
    with pytest.raises(MalformedSeal):
        read_seal("SP1:" + "A" * 5_000_000)
    with pytest.raises(MalformedSeal):
        read_seal("SP1:" + base45.encode(bytes(MAX_BYTES + 1)))


def accepted(texts: Iterator[str], trust: Trust) -> list[str]:
    good = (Colour.GREEN, Colour.AMBER)
    return [text for text in texts if check_seal(text, trust, NOW).verdict in good]


def test_no_flipped_bit_gives_a_good_verdict(city: City, trust: Trust) -> None:
    text = city.seal()
    assert accepted(iter([text]), trust) == [text]
    assert accepted(("SP1:" + base45.encode(one) for one in each_bit_flipped(token_of(text))), trust) == []


def test_no_changed_character_gives_a_good_verdict(city: City, trust: Trust) -> None:
    text = city.seal()
    other = ("A" if sign != "A" else "B" for sign in text)
    changed = [text[:place] + sign + text[place + 1 :] for place, sign in enumerate(other)]
    shortened = [text[:place] + text[place + 1 :] for place in range(len(text))]
    assert accepted(iter(changed + shortened), trust) == []


def _longer_heads(token: bytes) -> Iterator[bytes]:
    """The message with each head of the outer array, its strings and the claims in a longer form."""
    protected, unprotected, payload, signature = cbor2.loads(token).value
    parts = [cbor2.dumps(part) for part in (protected, unprotected, payload, signature)]
    yield b"\xd2\x98\x04" + b"".join(parts)
    yield b"\xd2\x9f" + b"".join(parts) + b"\xff"
    yield b"\xd8\x12\x84" + b"".join(parts)
    for place, size in ((0, len(protected)), (2, len(payload)), (3, len(signature))):
        for head in (b"\x59" + size.to_bytes(2, "big"), b"\x5a" + size.to_bytes(4, "big")):
            longer = parts.copy()
            longer[place] = head + (protected, {}, payload, signature)[place]  # type: ignore[operator]
            yield b"\xd2\x84" + b"".join(longer)
    for place in (0, 2, 3):
        content = (protected, {}, payload, signature)[place]
        pieces = parts.copy()
        pieces[place] = b"\x5f" + cbor2.dumps(content) + b"\xff"
        yield b"\xd2\x84" + b"".join(pieces)
    for empty in (b"\xb8\x00", b"\xbf\xff", b"\xf6", b"\x80"):
        yield b"\xd2\x84" + parts[0] + empty + parts[2] + parts[3]


def _other_claims(payload: bytes) -> Iterator[bytes]:
    """Other spellings of the same claims: these need the issuer's key, and still do not count."""
    claims = cbor2.loads(payload)
    pairs = [cbor2.dumps(key) + cbor2.dumps(value, canonical=True) for key, value in claims.items()]
    yield b"\xa4" + b"".join(reversed(pairs))
    yield b"\xbf" + b"".join(pairs) + b"\xff"
    yield b"\xa5" + b"".join([*pairs, pairs[0]])
    yield b"\xa5" + b"".join([pairs[0], *pairs])
    yield b"\xb8\x04" + b"".join(pairs)
    yield payload + b"\0"
    exp = cbor2.dumps(claims[4])
    yield payload.replace(b"\x04" + exp, b"\x04\x1b" + claims[4].to_bytes(8, "big"))
    yield payload.replace(b"\x04" + exp, b"\x18\x04" + exp)
    yield payload.replace(b"\x04" + exp, b"\x04\xc1" + exp)
    yield payload.replace(b"\x04" + exp, b"\x04" + cbor2.dumps(float(claims[4])))


def test_no_other_spelling_gives_a_good_verdict(city: City, trust: Trust) -> None:
    text = city.seal()
    token = token_of(text)
    protected, _, payload, signature = cbor2.loads(token).value
    s = int.from_bytes(signature[32:], "big")
    others = [
        token + b"\0",
        token[1:],
        b"\xd1" + token[1:],
        b"\xd8\x3d" + token,
        token[:-32] + (es256.ORDER - s).to_bytes(32, "big"),
        *_longer_heads(token),
    ]
    for unprotected in ({4: city.seal_key.kid}, {4: KEY.kid}, {1: -7}, {99: b"x"}):
        others.append(b"\xd2" + cose.encode([protected, unprotected, payload, signature]))
    key = city.seal_key
    for header, foreign in (
        ({1: -7}, {4: key.kid}),
        ({4: key.kid}, {1: -7}),
        ({1: -7, 4: key.kid, 5: 1}, {}),
        ({1: -7, 3: 60, 4: key.kid}, {}),
        ({1: -35, 4: key.kid}, {}),
    ):
        head = cose.encode(header)
        signed = key.sign(cose.encode(["Signature1", head, b"", payload]))
        others.append(b"\xd2" + cose.encode([head, foreign, payload, signed]))
    spellings = list(_other_claims(payload))
    assert payload not in spellings
    others += [cose.sign1(key, key.kid, other) for other in spellings]
    assert token not in others
    assert accepted(("SP1:" + base45.encode(other) for other in others), trust) == []


def test_no_other_text_of_the_same_bytes_gives_a_good_verdict(city: City, trust: Trust) -> None:
    text = city.seal()
    rest = text.removeprefix("SP1:")
    others = [
        text.lower(), "sp1:" + rest, "Sp1:" + rest, " " + text, text + " ", text + "\n", text + "0", text + "00",
        "SP1: " + rest, "SP1:0" + rest, "SP1:000" + rest, "SP1::" + rest, "SP1" + rest, rest, "SP1R:" + rest,
        "SP1:" + text, "SP2:" + rest, "\ufeff" + text, "SP1:" + rest.lower(),
        text[:40] + "\n" + text[40:],
        "ＳＰ１:" + rest, "SP1:" + rest + rest, "SP1:", "SP1:" + rest[:-1], "SP1:" + rest[:-3],
        "SP1R:1:12345678:SP1:" + rest, "SP1R:01:12345678:" + rest, "SP1R:1:1234567:" + rest, "SP1R::12345678:" + rest,
        "SP1R:1:12345678: " + rest, "SP1R:-1:12345678:" + rest, "SP1R:١:12345678:" + rest,
        "SP1R:999999999999:12345678:" + rest, "sp1r:1:12345678:" + rest,
    ]  # fmt: skip
    assert text not in others
    assert accepted(iter(others), trust) == []


SMALL_TEXT = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=12)
CONTENTS: Callable[[], st.SearchStrategy[SealContent]] = lambda: st.builds(  # noqa: E731
    permit,
    number=st.from_regex(r"[A-Za-z0-9._-]{1,40}", fullmatch=True),
    type_code=st.integers(1, 0xFFFF),
    issued_at=st.integers(0, 7_000_000_000),
    not_before=st.integers(0, 3_000_000_000),
    expires=st.integers(3_000_000_001, 7_000_000_000),
    status_list=st.integers(0, 0xFFFF),
    status_index=st.integers(0, (1 << 32) - 1),
    zone=st.none() | SMALL_TEXT,
    card_number=st.none() | SMALL_TEXT,
    further=st.dictionaries(
        st.integers(8, 255), SMALL_TEXT | st.booleans() | st.integers(-99, 99), max_size=4
    ),
    person=st.none()
    | st.builds(
        SealedPerson,
        SMALL_TEXT,
        st.dates(date(1000, 1, 1), date(2999, 12, 31)),
        st.lists(SMALL_TEXT, min_size=1, max_size=6).map(tuple),
    ),
)


@settings(max_examples=60)
@given(CONTENTS())
def test_any_content_survives(content: SealContent) -> None:
    assert read_seal(SEALER.seal(content)).content == content


def test_times_are_whole_seconds_of_berlin_days() -> None:
    period = Period(date(2026, 3, 29), date(2026, 10, 25))
    assert seconds(period.starts_at) == seconds(datetime(2026, 3, 28, 23, 0, tzinfo=UTC))
    assert seconds(period.ends_at) == seconds(datetime(2026, 10, 25, 23, 0, tzinfo=UTC))
    assert seconds(NOW + timedelta(seconds=0.9)) == seconds(NOW)


def test_no_seal_is_written_without_a_working_key(tmp_path: Path) -> None:
    class Broken:
        def sign(self, data: bytes) -> bytes:
            raise OSError("token gone")

    with pytest.raises(OSError, match="token gone"):
        Sealer(Broken(), KEY.kid).seal(permit())
