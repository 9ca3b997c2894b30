"""Publishing what verifiers need: root key, trust bundle, index, status lists and plate list.

The lists are written before the index that names them, and the bundle before all: a device that fetches
in the middle finds either the old set or a newer list than its index names, which it accepts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy.orm import Session

from issuer import keyring
from issuer.database import writing
from issuer.files import remove_leftovers, write_atomically
from issuer.register import plate_entries
from issuer.sequences import next_sequence
from issuer.settings import Settings, load_settings
from issuer.status_allocation import last_touched, status_entries
from issuer.trust_bundle import BUNDLE_FILE, current_bundle
from issuer.workspace import Workspace
from keys import lifecycle
from keys.bundle import root_to_pem
from keys.lifecycle import Purpose
from keys.signed_list import ListFrame
from keys.store import Signer
from passes.list_index import IndexedList, digest, sign_index
from passes.periods import berlin_day
from passes.plate_list import sign_plate_list
from passes.status_list import Status, sign_status_list

# A list is kept this long after its last seal has expired, and after the last seal that it got or lost:
# records may be taken over from an old register when they have ended already, and their prints still lie in cars.
KEPT = timedelta(days=30)

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Published:
    """What one run has written; ``root_missing``: the bundle is the old one, the root was not here."""

    bundle_sequence: int
    status_lists: int
    plates: int
    root_missing: bool = False


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
        record = keyring.signing_record(session, tenant, Purpose.LIST, at)
        bundle = current_bundle(workspace, session, settings, at, out)
        write_atomically(out / "root.pub", root_to_pem(bundle.root))
        write_atomically(out / BUNDLE_FILE, bundle.data)
        signing = _ListSigning(session, tenant, settings, at, manager.signer(record.uri), record.kid)
        lists = _status_lists(signing, out, progress)
        plates = _plates(signing, out, keyring.epoch_keys(session, tenant, manager))
        index = sign_index(signing.signer, signing.kid, signing.frame("index", "index"), lists)
        write_atomically(out / "index.cwt", index)
        # Only what stands in a bundle that was written counts as published.
        for one in keyring.records(session, tenant):
            if one.purpose in (Purpose.ROOT, Purpose.SEAL, Purpose.LIST) and one.published_at is None:
                keyring.save(session, lifecycle.published(one, at))
    return Published(bundle.frame.sequence, len(lists), plates, root_missing=bundle.root_missing)


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
    # A permit that starts at the moment of expiry is none of this list's.
    window = signing.at, signing.at + signing.settings.plate_list_expiry - timedelta(microseconds=1)
    entries = list(plate_entries(signing.session, signing.tenant, *window))
    data = sign_plate_list(signing.signer, signing.kid, frame, entries, epoch_keys)
    write_atomically(out / "plates.cwt", data, mode=0o600)
    return len(entries)
