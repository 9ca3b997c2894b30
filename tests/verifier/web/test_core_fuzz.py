"""Hostile bytes: the web app's readers refuse in order and exactly what the library refuses."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Page

from keys import bundle, cose
from keys.errors import KeyRefusal
from keys.identity import spki_der
from keys.signed_list import UnverifiedList
from passes import base45, list_index, plate_list, seal, status_list
from passes.errors import PassRefusal
from passes.seasons import Season
from tests.trust_factory import DAY, NOW, Key, permit, seconds
from tests.verifier.web.renderers import peak_memory
from tests.web_pages import needs_chromium

CBOR_BYTES = 4096
FUZZ = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
LISTS = {
    "bundle": (bundle.TYP, bundle.MAX_BYTES),
    "index": (list_index.TYP, list_index.MAX_BYTES),
    "status": (status_list.TYP, status_list.MAX_BYTES),
    "plates": (plate_list.TYP, plate_list.MAX_BYTES),
}
SIGNER = Key()
# In the page: what each reader makes of each input: true, false for a refusal, else the fault that should not be.
ASK = """
async ({inputs, spki}) => {
  const core = (name) => import(`/core/${name}.js`);
  const [{ decode }, { readSeal }, bundle, index, status, plates, { publicKey }, { Refusal }, { fromBase64 }] =
    await Promise.all(["cbor", "seal", "bundle", "list-index", "status-list", "plate-list", "cose", "errors", "bytes"]
      .map(core));
  const key = await publicKey(fromBase64(spki));
  const readers = {
    cbor: (data) => decode(data, 4096),
    seal: (data) => readSeal(new TextDecoder().decode(data)),
    bundle: (data) => bundle.readBundle(data, key),
    index: (data) => index.verifiedIndex(index.readIndex(data), key),
    plates: (data) => plates.verifiedPlateList(plates.readPlateList(data), key),
    status: async (data) => {
      const list = await status.verifiedStatusList(status.readStatusList(data), key);
      return Array.from({ length: 64 }, (_, at) => list.at(at));
    },
  };
  const unsigned = { index: index.readIndex, plates: plates.readPlateList, status: status.readStatusList };
  const answers = [];
  for (const [kind, data] of inputs) {
    const bytes = fromBase64(data);
    try {
      const read = await readers[kind](bytes);
      answers.push(kind === "status" ? read : true);
    } catch (fault) {
      // A list that is read but whose signature does not hold is another answer than one that is not read.
      const refused = fault instanceof Refusal;
      answers.push(refused ? (fault.code === "SIGNATURE" ? "SIGNATURE" : false) : `${fault.stack}`);
    }
  }
  return answers;
}
"""


def status_entries(unverified: UnverifiedList) -> list[int | None]:
    read = status_list.verified_status_list(unverified, SIGNER.public)
    entries: list[int | None] = []
    for at in range(64):
        try:
            entries.append(int(read[at]))
        except IndexError:
            entries.append(None)
    return entries


READERS: dict[str, Callable[[bytes], object]] = {
    "cbor": lambda data: cose.decode(data, max_bytes=CBOR_BYTES),
    "seal": lambda data: seal.read_seal(data.decode("utf-8", "replace")),
    "bundle": lambda data: bundle.read_bundle(data, SIGNER.public),
    "index": lambda data: list_index.verified_index(list_index.read_index(data), SIGNER.public),
    "plates": lambda data: plate_list.verified_plate_list(plate_list.read_plate_list(data), SIGNER.public),
    "status": lambda data: status_entries(status_list.read_status_list(data)),
}


def expected(kind: str, data: bytes) -> object:
    try:
        read = READERS[kind](data)
    except KeyRefusal as refusal:
        return "SIGNATURE" if refusal.code == "LIST_SIGNATURE" else False
    except (cose.CborError, PassRefusal):
        return False
    return read if kind == "status" else True


def agree(page: Page, inputs: list[tuple[str, bytes]]) -> None:
    asked = [[kind, base64.b64encode(data).decode()] for kind, data in inputs]
    spki = base64.b64encode(spki_der(SIGNER.public)).decode()
    answers: list[Any] = page.evaluate(ASK, {"inputs": asked, "spki": spki})
    for (kind, data), answer in zip(inputs, answers, strict=True):
        assert answer == expected(kind, data), (kind, data.hex())


@dataclass(frozen=True)
class Change:
    """One change of a byte string: what ``size`` bytes at ``place`` are replaced by."""

    place: int
    size: int
    by: bytes

    def of(self, data: bytes) -> bytes:
        place = self.place % (len(data) + 1)
        return data[:place] + self.by + data[place + self.size :]


def changed(data: bytes, changes: list[Change]) -> bytes:
    for change in changes:
        data = change.of(data)
    return data


CHANGES = st.lists(
    st.builds(Change, st.integers(0, 1 << 12), st.integers(0, 3), st.binary(max_size=3)), max_size=2
)
# Code points that are letters or signs in this Python's Unicode: a browser may know a newer one.
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cn"]), max_size=130)
# A reader in JavaScript holds no more than 53 bits where a number is used.
SCALARS = (
    st.none() | st.booleans() | st.integers(-(1 << 53) + 1, (1 << 53) - 1) | st.integers(-2, 70)
    | st.binary(max_size=40) | TEXTS
)  # fmt: skip
KEYS = st.integers(-70000, 300) | st.text(max_size=4)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    """The head of an item: every form there is, the reserved and indefinite ones too, with any argument."""
    information = draw(st.integers(0, 31))
    size = 1 << (information - 24) if 24 <= information <= 27 else 0
    huge = bytes([255]) * size
    return bytes([draw(st.integers(0, 7)) << 5 | information]) + draw(
        st.just(huge) | st.binary(min_size=size, max_size=size)
    )


NESTED = st.builds(
    lambda opening, depth, end: opening * depth + end,
    st.sampled_from([b"\x81", b"\x82\x00", b"\xa1\x00", b"\x9f", b"\xbf\x00", b"\xd2"]),
    st.integers(0, 1500) | st.integers(0, 12),
    st.sampled_from([b"", b"\x00", b"\x80", b"\xff", b"\xf6"]),
)


@st.composite
def head(draw: st.DrawFn, major: int, argument: int) -> bytes:
    """The head of an item, now and then in a longer form than it needs."""
    shortest = next(size for size in (0, 1, 2, 4, 8) if argument < (24 if size == 0 else 1 << 8 * size))
    size = draw(st.sampled_from([shortest] * 4 + [one for one in (1, 2, 4, 8) if one > shortest][:1]))
    if size == 0:
        return bytes([major << 5 | argument])
    return bytes([major << 5 | 23 + size.bit_length()]) + argument.to_bytes(size, "big")


@st.composite
def integers(draw: st.DrawFn) -> bytes:
    edges = st.sampled_from(
        [0, 23, 24, 255, 256, 65535, 65536, (1 << 32) - 1, 1 << 32, 1 << 53, (1 << 64) - 1]
    )
    return draw(head(draw(st.integers(0, 1)), draw(edges)))


@st.composite
def strings(draw: st.DrawFn) -> bytes:
    octets = draw(st.binary(max_size=30) | st.text(max_size=12).map(str.encode))
    return draw(head(draw(st.integers(2, 3)), len(octets))) + octets


@st.composite
def arrays(draw: st.DrawFn, inner: st.SearchStrategy[bytes]) -> bytes:
    items = draw(st.lists(inner, max_size=4))
    return draw(head(4, len(items))) + b"".join(items)


@st.composite
def maps(draw: st.DrawFn, inner: st.SearchStrategy[bytes]) -> bytes:
    """A map whose keys may be of any type, out of order or repeated."""
    pairs = draw(st.lists(st.tuples(integers() | strings() | inner, inner), max_size=4))
    if pairs and draw(st.integers(0, 3)) == 0:
        pairs.append((pairs[0][0], draw(inner)))
    if draw(st.integers(0, 3)):
        pairs.sort()
    return draw(head(5, len(pairs))) + b"".join(key + item for key, item in pairs)


NEARLY = st.recursive(
    integers()
    | strings()
    | st.sampled_from([b"\xf4", b"\xf5", b"\xf6", b"\xf7", b"\xf9\x00\x00", b"\xe0", b"\xc0\x00"]),
    lambda inner: arrays(inner) | maps(inner),
    max_leaves=6,
)
CBOR = st.one_of(
    st.binary(max_size=30),
    st.lists(heads() | st.binary(max_size=2), max_size=8).map(b"".join),
    NESTED,
    NEARLY,
    NEARLY,
    st.builds(changed, VALUES.map(cose.encode), CHANGES),
)


def altered(value: object, path: list[int], new: object) -> object:
    """``value`` with the part that ``path`` leads to replaced, or left out where ``new`` is Ellipsis."""
    if not path or not isinstance(value, dict | list) or not value:
        return None if new is ... else new
    places = list(value) if isinstance(value, dict) else range(len(value))
    place = places[path[0] % len(places)]
    copy: Any = value.copy()
    if len(path) == 1 and new is ...:
        del copy[place]
    else:
        copy[place] = altered(copy[place], path[1:], new)
    return copy


PATHS = st.lists(st.integers(0, 20), min_size=1, max_size=4)
ALTERATIONS = st.lists(st.tuples(PATHS, VALUES | st.just(...)), max_size=2)


def with_alterations(value: Any, alterations: list[tuple[list[int], object]]) -> Any:
    for path, new in alterations:
        value = altered(value, path, new)
    return value


GOOD_SEALS = [
    permit(),
    permit(plates=(), organisation="Teilauto e. V. Düsseldorf", further={8: "Straße", 9: 5, 255: True}),
    permit(seasons=(Season(4, 10),)),
    permit(plates=(), zone=None, type_code=2, card_number="69JGQN"),
]


def token(claims: object) -> bytes:
    return cose.sign1(SIGNER, SIGNER.kid, cose.encode(claims))


def sp1(data: bytes) -> bytes:
    return (seal.PREFIX + base45.encode(data)).encode()


GOOD_CLAIMS = st.sampled_from([cose.decode(seal.encode_claims(one), max_bytes=480) for one in GOOD_SEALS])
SEALS = st.one_of(
    st.builds(with_alterations, GOOD_CLAIMS, ALTERATIONS).map(token).map(sp1),
    st.builds(changed, GOOD_CLAIMS.map(token), CHANGES).map(sp1),
    st.builds(changed, GOOD_CLAIMS.map(token).map(sp1), CHANGES),
    st.binary(max_size=60).map(sp1),
)


def good_lists() -> dict[str, Any]:
    """The claims of a good list of each kind, frame included."""
    spki = spki_der(SIGNER.public)
    key = {0: spki, 1: "seal", 2: [1, 2], 3: 0, 4: 1 << 33, 5: "active", 6: False}
    frame = {2: "lists", 4: seconds(NOW) + DAY, 6: seconds(NOW), 65534: DAY, -65538: 5}
    table = "\nDAB123\t2026-04-01\t2027-03-31\tMÜ1\t\t0\n".encode()
    return {
        "bundle": frame
        | {1: "Musterstadt", -65543: [key], -65544: {1: ["permit", False, True]}, -65545: False},
        "index": frame | {-65540: {17: ["https://passes.example/status/17", bytes(32), 5]}},
        "status": frame | {65533: {"bits": 2, "lst": zlib.compress(b"\x1b\x01\0\0\0\0\0\0" * 2)}},
        "plates": frame | {-65541: table, -65542: {1: bytes(32)}},
    }


GOOD_LISTS = good_lists()


def signed(kind: str, claims: object, typ: str | None = None) -> bytes:
    return cose.sign1(SIGNER, SIGNER.kid, cose.encode(claims), typ=typ or LISTS[kind][0])


@st.composite
def signed_lists(draw: st.DrawFn) -> tuple[str, bytes]:
    """A list with a good signature whose content need not be good, or with changes after it was signed."""
    kind = draw(st.sampled_from(sorted(LISTS)))
    claims = with_alterations(GOOD_LISTS[kind], draw(ALTERATIONS))
    if draw(st.booleans()):
        return kind, signed(kind, claims, draw(st.sampled_from([one for one, _ in LISTS.values()])))
    return kind, changed(signed(kind, claims), draw(CHANGES))


@st.composite
def packed_lists(draw: st.DrawFn) -> tuple[str, bytes]:
    """A status list whose stream is damaged, cut off or followed by something."""
    raw = draw(st.binary(max_size=100)) * draw(st.sampled_from([1, 50]))
    stream = changed(zlib.compress(raw, draw(st.integers(0, 9))), draw(CHANGES))
    return "status", signed("status", GOOD_LISTS["status"] | {65533: {"bits": 2, "lst": stream}})


def test_the_good_ones_are_good() -> None:
    for kind, claims in GOOD_LISTS.items():
        assert expected(kind, signed(kind, claims)) not in (False, "SIGNATURE"), kind
    for one in GOOD_SEALS:
        assert expected("seal", sp1(token(cose.decode(seal.encode_claims(one), max_bytes=480)))) is True


@needs_chromium
def test_second_spellings(page: Page) -> None:
    """The usual ways to write the same once more."""
    repeated, unsorted, longer = "a201000100", "a202000100", "1817"
    inputs = [
        ("cbor", bytes.fromhex(one)) for one in (repeated, unsorted, longer, "9f00ff", "a1810000", "f90000")
    ]
    good = token(cose.decode(seal.encode_claims(GOOD_SEALS[0]), max_bytes=480))
    # Base45 of a pair of bytes that is 65536 too much: without the bound it gives the same bytes.
    high = divmod(int.from_bytes(good[2:4], "big") + (1 << 16), 2025)
    letters = [chr(base45.ALPHABET[one]) for one in (high[1] % 45, high[1] // 45, high[0])]
    text = sp1(good).decode()
    inputs.append(("seal", (seal.PREFIX + text[4:7] + "".join(letters) + text[10:]).encode()))
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    inputs.append(("seal", sp1(good[:-32] + (order - int.from_bytes(good[-32:], "big")).to_bytes(32, "big"))))
    assert not any(expected(*one) for one in inputs)
    agree(page, inputs)


@needs_chromium
@FUZZ
@given(st.lists(CBOR, min_size=15, max_size=30))
def test_cbor(page: Page, inputs: list[bytes]) -> None:
    agree(page, [("cbor", one) for one in inputs])


@needs_chromium
@FUZZ
@given(st.lists(SEALS, min_size=15, max_size=30))
def test_seals(page: Page, inputs: list[bytes]) -> None:
    agree(page, [("seal", one) for one in inputs])


@needs_chromium
@FUZZ
@given(st.lists(signed_lists(), min_size=15, max_size=30))
def test_signed_lists(page: Page, inputs: list[tuple[str, bytes]]) -> None:
    agree(page, inputs)


@needs_chromium
@FUZZ
@given(st.lists(packed_lists(), min_size=15, max_size=30))
def test_packed_lists(page: Page, inputs: list[tuple[str, bytes]]) -> None:
    agree(page, inputs)


@needs_chromium
def test_a_status_list_of_the_greatest_size_and_beyond(page: Page) -> None:
    most = status_list.ENTRIES * status_list.BITS // 8
    for size, good in ((most - 1, True), (most, True), (most + 1, False)):
        claims = GOOD_LISTS["status"] | {65533: {"bits": 2, "lst": zlib.compress(bytes(size))}}
        data = signed("status", claims)
        assert (expected("status", data) is not False) == good
        agree(page, [("status", data)])


@needs_chromium
def test_a_status_list_that_unpacks_to_gigabytes_is_refused_in_little_memory(page: Page) -> None:
    squeezer = zlib.compressobj(9)
    block = bytes(1 << 20)
    bomb = b"".join([*(squeezer.compress(block) for _ in range(500)), squeezer.flush()])
    data = signed("status", GOOD_LISTS["status"] | {65533: {"bits": 2, "lst": bomb}})
    assert 400_000 < len(data) < status_list.MAX_BYTES
    agree(page, [("status", signed("status", GOOD_LISTS["status"]))])
    before = peak_memory()
    agree(page, [("status", data)])
    assert peak_memory() - before < 100 << 20
