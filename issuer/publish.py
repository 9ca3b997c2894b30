"""Publishing what verifiers need: root key, trust bundle, index, status lists and plate list.

The lists are written before the index that names them, and the bundle before all: a device that fetches
in the middle finds either the old set or a newer list than its index names, which it accepts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy.orm import Session

from issuer import keyring
from issuer.database import writing
from issuer.errors import IssuerRefusal
from issuer.files import remove_leftovers, write_atomically
from issuer.register import plate_entries
from issuer.sequences import next_sequence
from issuer.settings import Settings, load_settings
from issuer.status_allocation import last_touched, status_entries
from issuer.workspace import Workspace
from keys import lifecycle
from keys.bundle import Bundle, BundleKey, BundleType, read_bundle, root_to_pem, sign_bundle
from keys.errors import Refusal
from keys.lifecycle import KeyRecord, KeyState, Purpose
from keys.signed_list import ListFrame
from keys.store import Signer
from passes.list_index import IndexedList, digest, sign_index
from passes.model import DisplayMode
from passes.periods import berlin_day
from passes.plate_list import sign_plate_list
from passes.status_list import Status, sign_status_list

BUNDLE_FILE = "bundle.cwt"
BUNDLE_LIFE = timedelta(days=365)
# A list is kept this long after its last seal has expired, and after the last seal that it got or lost:
# records may be taken over from an old register when they have ended already, and their prints still lie in cars.
KEPT = timedelta(days=30)

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Published:
    """What one run has written."""

    bundle_sequence: int
    status_lists: int
    plates: int


def _quiet(_done: int, _total: int, _name: str) -> None:
    return


def publish(workspace: Workspace, out: Path, at: datetime, progress: Progress = _quiet) -> Published:
    """Write everything into ``out`` as of the aware time ``at``; ``plates.cwt`` for its owner alone.

    Raises IssuerRefusal NO_SIGNING_KEY or ROOT_OFFLINE, KeyRefusal, OSError.
    """
    tenant = workspace.tenant
    (out / "status").mkdir(parents=True, exist_ok=True)
    for folder in (out, out / "status", workspace.folder):
        remove_leftovers(folder)
    # One writing transaction: the lists are of one state, and the sequence numbers are used up with it.
    with writing(workspace.engine) as session, workspace.keys() as manager:
        settings = load_settings(session, tenant)
        bundle = _bundle_bytes(workspace, session, settings, at)
        write_atomically(out / "root.pub", root_to_pem(bundle.root))
        write_atomically(out / BUNDLE_FILE, bundle.data)
        record = keyring.signing_record(session, tenant, Purpose.LIST, at)
        signing = _ListSigning(session, tenant, settings, at, manager.signer(record.uri), record.kid)
        lists = _status_lists(signing, out, progress)
        plates = _plates(signing, out, keyring.epoch_keys(session, tenant, manager))
        index = sign_index(signing.signer, signing.kid, signing.frame("index", "index"), lists)
        write_atomically(out / "index.cwt", index)
        # Only what stands in a bundle that was written counts as published.
        for one in keyring.records(session, tenant):
            if one.purpose in (Purpose.ROOT, Purpose.SEAL, Purpose.LIST) and one.published_at is None:
                keyring.save(session, lifecycle.published(one, at))
    return Published(bundle.sequence, len(lists), plates)


@dataclass(frozen=True, slots=True)
class _ListSigning:
    session: Session
    tenant: str
    settings: Settings
    at: datetime
    signer: Signer
    kid: bytes

    def frame(self, name: str, subject: str, expiry: timedelta | None = None) -> ListFrame:
        issued_at = int(self.at.timestamp())
        return ListFrame(
            subject=subject,
            sequence=next_sequence(self.session, self.tenant, name, self.at),
            issued_at=issued_at,
            ttl=int(self.settings.list_ttl.total_seconds()),
            expires=issued_at + int((expiry or self.settings.list_expiry).total_seconds()),
        )


def _status_lists(signing: _ListSigning, out: Path, progress: Progress) -> dict[int, IndexedList]:
    lists: dict[int, IndexedList] = {}
    oldest = signing.at - KEPT
    touched = last_touched(signing.session, signing.tenant)
    current = [
        one
        for one in status_entries(signing.session, signing.tenant)
        if one.last_expiry is None
        or one.last_expiry >= berlin_day(oldest)
        or touched.get(one.number, oldest) > oldest
    ]
    for done, one in enumerate(current, start=1):
        uri = f"{signing.settings.base_url}/status/{one.number}"
        frame = signing.frame(f"status/{one.number}", uri)
        entries = [(index, Status(value)) for index, value in one.entries if value]
        data = sign_status_list(signing.signer, signing.kid, frame, entries)
        write_atomically(out / "status" / f"{one.number}.cwt", data)
        lists[one.number] = IndexedList(uri, digest(data), frame.sequence)
        progress(done, len(current) + 1, f"status/{one.number}.cwt")
    for file in (out / "status").glob("*.cwt"):
        if file.stem.isdigit() and int(file.stem) not in lists:
            file.unlink(missing_ok=True)
    return lists


def _plates(signing: _ListSigning, out: Path, epoch_keys: dict[int, bytes]) -> int:
    frame = signing.frame("plates", "plates", signing.settings.plate_list_expiry)
    window = signing.at, signing.at + signing.settings.plate_list_expiry
    entries = list(plate_entries(signing.session, signing.tenant, *window))
    data = sign_plate_list(signing.signer, signing.kid, frame, entries, epoch_keys)
    write_atomically(out / "plates.cwt", data, mode=0o600)
    return len(entries)


@dataclass(frozen=True, slots=True)
class _SignedBundle:
    data: bytes
    root: ec.EllipticCurvePublicKey
    sequence: int


def _bundle_bytes(workspace: Workspace, session: Session, settings: Settings, at: datetime) -> _SignedBundle:
    """The bundle signed last, as long as it says what is so and is young; else a new one."""
    roots = [
        one
        for one in keyring.records(session, workspace.tenant, Purpose.ROOT)
        if one.state is KeyState.ACTIVE
    ]
    if not roots:
        raise IssuerRefusal("NO_SIGNING_KEY", purpose=Purpose.ROOT.value, type="")
    roots.sort(key=lambda one: (one.activated_at or one.not_before, one.kid))
    newest, previous = roots[-1], roots[-2] if len(roots) > 1 else None
    root = _p256(newest)
    wanted = _content(workspace, session, settings, newest)
    stored = workspace.folder / BUNDLE_FILE
    if previous is None and (kept := _kept(stored, root, wanted, at)):
        return kept
    frame = ListFrame(
        subject="bundle",
        sequence=next_sequence(session, workspace.tenant, "bundle", at),
        issued_at=int(at.timestamp()),
        ttl=int(settings.bundle_ttl.total_seconds()),
        expires=int((at + BUNDLE_LIFE).timestamp()),
    )
    with workspace.root_keys() as manager:
        endorsing = None
        if previous is not None:
            lifecycle.require_signing(previous, at)
            endorsing = manager.signer(previous.uri), previous.kid
        lifecycle.require_signing(newest, at)
        data = sign_bundle(
            manager.signer(newest.uri), newest.kid, _framed(wanted, frame), previous_root=endorsing
        )
    write_atomically(stored, data)
    return _SignedBundle(data, root, frame.sequence)


def _kept(
    stored: Path, root: ec.EllipticCurvePublicKey, wanted: Bundle, at: datetime
) -> _SignedBundle | None:
    try:
        data = stored.read_bytes()
        kept, _ = read_bundle(data, root)
    except (OSError, Refusal):
        return None
    now = int(at.timestamp())
    young = kept.frame.issued_at <= now <= kept.frame.issued_at + kept.frame.ttl // 2
    if not young or _framed(wanted, kept.frame) != kept:
        return None
    return _SignedBundle(data, root, kept.frame.sequence)


def _content(workspace: Workspace, session: Session, settings: Settings, newest: KeyRecord) -> Bundle:
    codes = {one.id: one.seal_code for one in workspace.pass_types}
    keys: dict[bytes, BundleKey] = {}
    next_root = None
    for one in keyring.records(session, workspace.tenant):
        if one.purpose in (Purpose.SEAL, Purpose.LIST):
            keys[one.kid] = BundleKey(
                public_key=_p256(one),
                purpose=one.purpose.value,
                pass_types=frozenset(codes[name] for name in one.pass_types if name in codes),
                not_before=int(one.not_before.timestamp()),
                not_after=int(one.not_after.timestamp()),
                state=one.state.value,
                test=one.test,
            )
        elif one.purpose is Purpose.ROOT and one.state is KeyState.PENDING:
            next_root = one.spki
    roots = keyring.records(session, workspace.tenant, Purpose.ROOT)
    if sum(one.state is KeyState.ACTIVE for one in roots) > 1:
        next_root = newest.spki
    paper = settings.display_mode is DisplayMode.PAPER_REQUIRED
    return Bundle(
        frame=ListFrame("bundle", 0, 0, 0, 0),
        issuer=settings.city_name,
        keys=keys,
        types={
            one.seal_code: BundleType(one.id, one.spec.stands_in_car and paper)
            for one in workspace.pass_types
        },
        test=settings.test,
        next_root=next_root,
    )


def _framed(bundle: Bundle, frame: ListFrame) -> Bundle:
    return Bundle(frame, bundle.issuer, bundle.keys, bundle.types, bundle.test, bundle.next_root)


def _p256(record: KeyRecord) -> ec.EllipticCurvePublicKey:
    key = record.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise IssuerRefusal("KEY_NOT_P256", kid=record.kid.hex())
    return key
