"""A small city for tests: root, list and seal keys in memory, and a folder as ``publish`` writes it.

Everything is dated by the arguments; nothing reads the clock. The defaults give a seal that is GREEN at `NOW`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from keys import es256
from keys.bundle import Bundle, BundleKey, BundleType, root_to_pem, sign_bundle
from keys.identity import kid_of, spki_der
from keys.signed_list import ListFrame
from passes.list_index import IndexedList, digest, sign_index
from passes.periods import Period
from passes.plate_list import PlateEntry, sign_plate_list
from passes.plates import Plate
from passes.seal import SealContent, Sealer
from passes.seasons import Season
from passes.status_list import Status, sign_status_list
from verifier.state import State
from verifier.trust import Trust, load_trust

NOW = datetime(2026, 11, 20, 11, 0, tzinfo=UTC)  # 12:00 in Berlin
HOUR, DAY = 3600, 86400
PERMIT, LIBRARY = 1, 2
LIST_NUMBER = 17
PERIOD = Period(date(2026, 4, 1), date(2027, 3, 31))
PLATE = Plate("D", "AB", "123")
_CURVE = ec.SECP256R1()


def seconds(at: datetime) -> int:
    return int(at.timestamp())


def status_uri(number: int) -> str:
    return f"https://passes.example/status/{number}"


class Key:
    """A P-256 key in memory that signs as the key stores do."""

    def __init__(self) -> None:
        self.private = ec.generate_private_key(_CURVE)
        self.public = self.private.public_key()
        self.kid = kid_of(self.public)

    def sign(self, data: bytes) -> bytes:
        return es256.raw_from_der(self.private.sign(data, ec.ECDSA(hashes.SHA256())))


class City:
    """Keys and lists of one city; `publish` writes its folder, `trust` loads it as a device would."""

    def __init__(self, folder: Path, *, test: bool = False) -> None:
        self.folder = folder
        self.test = test
        self.root, self.list_key, self.seal_key = Key(), Key(), Key()
        self.keys: dict[bytes, BundleKey] = {}
        self.name_key(self.list_key, "list", ())
        self.name_key(self.seal_key, "seal", (PERMIT, LIBRARY))
        self.types = {
            PERMIT: BundleType("resident-parking-permit", False),
            LIBRARY: BundleType("library-card", False),
        }
        self.statuses: dict[int, dict[int, Status]] = {LIST_NUMBER: {}}
        self.plates: list[PlateEntry] = []
        self.epoch_keys: dict[int, bytes] = {}

    def name_key(
        self,
        key: Key,
        purpose: str,
        pass_types: Iterable[int],
        *,
        state: str = "active",
        test: bool | None = None,
        not_before: datetime = NOW - timedelta(days=400),
        not_after: datetime = NOW + timedelta(days=800),
    ) -> None:
        """Name ``key`` in the bundle; under a demo root keys are test keys unless told otherwise."""
        self.keys[key.kid] = BundleKey(
            key.public,
            purpose,
            frozenset(pass_types),
            seconds(not_before),
            seconds(not_after),
            state,
            self.test if test is None else test,
        )

    def set_key(self, key: Key, **changes: object) -> None:
        self.keys[key.kid] = replace(self.keys[key.kid], **changes)  # type: ignore[arg-type]

    def frame(self, subject: str, at: datetime, sequence: int | None, ttl: int, expiry: int) -> ListFrame:
        issued = seconds(at)
        return ListFrame(
            subject, issued * 1000 if sequence is None else sequence, issued, ttl, issued + expiry
        )

    def write_bundle(
        self,
        at: datetime = NOW,
        sequence: int | None = None,
        *,
        ttl: int = 90 * DAY,
        expiry: int = 365 * DAY,
        root: Key | None = None,
        previous_root: Key | None = None,
        next_root: bytes | None = None,
    ) -> bytes:
        signer = root or self.root
        if previous_root is not None and next_root is None:
            next_root = spki_der(signer.public)
        bundle = Bundle(
            frame=self.frame("bundle", at, sequence, ttl, expiry),
            issuer="Musterstadt",
            keys=self.keys,
            types=self.types,
            test=self.test,
            next_root=next_root,
        )
        data = sign_bundle(
            signer,
            signer.kid,
            bundle,
            previous_root=None if previous_root is None else (previous_root, previous_root.kid),
        )
        return self._write("bundle.cwt", data)

    def write_lists(
        self,
        at: datetime = NOW,
        sequence: int | None = None,
        *,
        ttl: int = DAY,
        expiry: int = 7 * DAY,
        index_expiry: int | None = None,
        signer: Key | None = None,
    ) -> None:
        """The status lists, and the index that names them."""
        key = signer or self.list_key
        named: dict[int, IndexedList] = {}
        for number, statuses in self.statuses.items():
            frame = self.frame(status_uri(number), at, sequence, ttl, expiry)
            data = sign_status_list(key, key.kid, frame, statuses.items())
            self._write(f"status/{number}.cwt", data)
            named[number] = IndexedList(status_uri(number), digest(data), frame.sequence)
        frame = self.frame("index", at, sequence, ttl, index_expiry or expiry)
        self._write("index.cwt", sign_index(key, key.kid, frame, named))

    def write_plates(
        self,
        at: datetime = NOW,
        sequence: int | None = None,
        *,
        ttl: int = DAY,
        expiry: int = 2 * DAY,
        signer: Key | None = None,
    ) -> None:
        key = signer or self.list_key
        frame = self.frame("plates", at, sequence, ttl, expiry)
        self._write("plates.cwt", sign_plate_list(key, key.kid, frame, self.plates, self.epoch_keys))

    def publish(self, at: datetime = NOW, sequence: int | None = None) -> City:
        """Everything, dated ``at``."""
        self._write("root.pub", root_to_pem(self.root.public))
        self.write_bundle(at, sequence)
        self.write_lists(at, sequence)
        self.write_plates(at, sequence)
        return self

    def _write(self, name: str, data: bytes) -> bytes:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return data

    def trust(self, state: State | None = None, root_file: Path | None = None) -> Trust:
        return load_trust(self.folder, state or State(), root_file)

    def seal(self, content: SealContent | None = None, *, key: Key | None = None, **changes: object) -> str:
        """The SP1 text of ``content``, by default of the good permit with ``changes``."""
        signer = key or self.seal_key
        return Sealer(signer, signer.kid).seal(content or permit(**changes))

    def list_plate(
        self,
        plate: Plate = PLATE,
        period: Period = PERIOD,
        zone: str = "MÜ1",
        season: Season | None = None,
        status: Status = Status.VALID,
    ) -> None:
        self.plates.append(PlateEntry(plate.key, period, zone, season, status))


def permit(**changes: object) -> SealContent:
    """The content of a good one-plate permit, with ``changes``."""
    values: dict[str, object] = {
        "type_code": PERMIT,
        "number": "BP-2026-000123",
        "issued_at": seconds(NOW - timedelta(days=200)),
        "not_before": seconds(PERIOD.starts_at),
        "expires": seconds(PERIOD.ends_at),
        "status_list": LIST_NUMBER,
        "status_index": 523_881,
        "plates": (PLATE,),
        "zone": "MÜ1",
    }
    return SealContent(**(values | changes))  # type: ignore[arg-type]


def each_bit_flipped(data: bytes) -> Iterable[bytes]:
    for place in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[place] ^= 1 << bit
            yield bytes(changed)
