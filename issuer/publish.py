"""Signing what verifiers need, and writing it into a folder: root key, bundle, index, status lists and plate list.

The content is read in one transaction (`issuer.list_content`) and signed outside any. In a folder the lists are
written before the index that names them, and the bundle before all: a device that fetches in the middle finds either
the old set or a newer list than its index names, which it accepts.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy.orm import Session

from issuer import keyring
from issuer.database import reading, writing
from issuer.errors import IssuerRefusal
from issuer.files import remove_leftovers, write_atomically
from issuer.list_content import ListContent, read_content, renew_after, take_number
from issuer.trust_bundle import BUNDLE_FILE, current_bundle, p256
from issuer.workspace import Workspace
from keys import lifecycle
from keys.bundle import root_to_pem
from keys.errors import Refusal
from keys.signed_list import ListFrame
from keys.store import Signer
from passes.list_index import IndexedList, digest, read_index, sign_index, verified_index
from passes.plate_list import count_of, sign_plate_table
from passes.status_list import Status, pack, read_status_list, sign_status_list, verified_status_list

_TRIES = 20

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Published:
    """What one run has written; ``root_missing``: the bundle is the old one, the root was not here."""

    bundle_sequence: int
    status_lists: int
    plates: int
    root_missing: bool = False


@dataclass(frozen=True, slots=True)
class SignedLists:
    """What a run has signed anew: None, or not in ``statuses``, is what stays as it was published before.

    ``numbers`` are the status lists that the index names. ``renew_at`` is when (seconds) the oldest of status lists
    and index has to be signed anew.
    """

    statuses: Mapping[int, bytes]
    numbers: frozenset[int]
    index: bytes | None
    plates: bytes | None
    renew_at: int


def _quiet(_done: int, _total: int, _name: str) -> None:
    return


def publish(workspace: Workspace, out: Path, at: datetime, progress: Progress = _quiet) -> Published:
    """Write everything into ``out`` as of the aware time ``at``; ``plates.cwt`` for its owner alone.

    Raises IssuerRefusal NO_SIGNING_KEY, ROOT_OFFLINE or PUBLISHING_BUSY, KeyRefusal, OSError.
    """
    (out / "status").mkdir(parents=True, exist_ok=True)
    with _alone(out / "status"), workspace.keys() as manager:
        for folder in (out, out / "status", workspace.folder):
            remove_leftovers(folder)
        content = None
        for _ in range(_TRIES):
            number = take_number(workspace.engine, workspace.tenant, at)
            with reading(workspace.engine) as session:
                content = read_content(session, workspace.tenant, workspace.pass_types, manager, number, at)
            if content is not None:
                break
        if content is None:
            raise IssuerRefusal("PUBLISHING_BUSY")
        bundle = current_bundle(workspace, content.bundle, content.number, at, _bundle_in(out))
        write_atomically(out / "root.pub", root_to_pem(bundle.root))
        write_atomically(out / BUNDLE_FILE, bundle.data)
        signed = sign_lists(content, manager.signer(content.list_key.uri), {}, None, progress)
        _write_lists(out, signed)
        # Only what stands in a bundle that was written counts as published.
        with writing(workspace.engine) as session:
            mark_published(session, content)
    plates = count_of(content.plates.lines) if content.plates is not None else 0
    return Published(bundle.frame.sequence, len(signed.numbers), plates, root_missing=bundle.root_missing)


def sign_lists(
    content: ListContent,
    signer: Signer,
    previous: Mapping[int, bytes],
    previous_index: bytes | None,
    progress: Progress = _quiet,
) -> SignedLists:
    """Sign ``content``; a list of ``previous`` that says the same, the same way, and is young stays as it is."""
    signing = _Signing(content, p256(content.list_key))
    statuses: dict[int, bytes] = {}
    named: dict[int, IndexedList] = {}
    oldest = signing.issued_at
    for done, (number, entries) in enumerate(content.statuses.items(), start=1):
        uri = f"{content.settings.base_url}/status/{number}"
        wanted, data = signing.frame(uri), previous.get(number)
        frame = signing.kept_status_list(data, wanted, entries) if data is not None else None
        if data is None or frame is None:
            data, frame = sign_status_list(signer, content.list_key.kid, wanted, entries), wanted
            statuses[number] = data
        named[number] = IndexedList(uri, digest(data), frame.sequence)
        oldest = min(oldest, frame.issued_at)
        progress(done, len(content.statuses) + 1, f"status/{number}.cwt")
    wanted, index = signing.frame("index"), None
    frame = signing.kept_index(previous_index, wanted, named) if previous_index is not None else None
    if frame is None:
        index, frame = sign_index(signer, content.list_key.kid, wanted, named), wanted
    plates = None
    if content.plates is not None:
        plates = sign_plate_table(
            signer,
            content.list_key.kid,
            replace(signing.frame("plates"), expires=content.plates.expires),
            content.plates.lines,
            content.epoch_keys,
        )
    return SignedLists(statuses, frozenset(named), index, plates, min(oldest, frame.issued_at) + signing.half)


def mark_published(session: Session, content: ListContent) -> None:
    """Note in the caller's writing transaction that the keys of ``content`` stand in a bundle that is out."""
    for one in keyring.records(session, content.tenant) if content.unpublished else ():
        if one.kid in content.unpublished and one.published_at is None:
            keyring.save(session, lifecycle.published(one, content.at))


@dataclass(frozen=True, slots=True)
class _Signing:
    content: ListContent
    public_key: ec.EllipticCurvePublicKey

    @property
    def issued_at(self) -> int:
        return int(self.content.at.timestamp())

    @property
    def half(self) -> int:
        """The age in seconds at which status lists and the index are signed anew."""
        return renew_after(self.content.settings.list_ttl, self.content.settings.list_expiry)

    def frame(self, subject: str) -> ListFrame:
        settings = self.content.settings
        return ListFrame(
            subject=subject,
            sequence=self.content.number,
            issued_at=self.issued_at,
            ttl=int(settings.list_ttl.total_seconds()),
            expires=self.issued_at + int(settings.list_expiry.total_seconds()),
        )

    def kept_status_list(
        self, data: bytes, wanted: ListFrame, entries: Sequence[tuple[int, Status]]
    ) -> ListFrame | None:
        """The frame of the list published before, if it may stay."""
        with suppress(Refusal):
            unverified = read_status_list(data)
            if self._may_stay(unverified.frame, wanted):
                found = verified_status_list(unverified, self.public_key)
                return found.frame if found.holds(pack(entries)) else None
        return None

    def kept_index(
        self, data: bytes, wanted: ListFrame, named: Mapping[int, IndexedList]
    ) -> ListFrame | None:
        """The frame of the index published before, if it may stay."""
        with suppress(Refusal):
            unverified = read_index(data)
            if self._may_stay(unverified.frame, wanted):
                found = verified_index(unverified, self.public_key)
                return found.frame if found.lists == named else None
        return None

    def _may_stay(self, old: ListFrame, wanted: ListFrame) -> bool:
        alike = (old.subject, old.ttl, old.expires - old.issued_at) == (
            wanted.subject, wanted.ttl, wanted.expires - wanted.issued_at,
        )  # fmt: skip
        return alike and old.issued_at <= wanted.issued_at < old.issued_at + self.half


def _write_lists(out: Path, signed: SignedLists) -> None:
    for number, data in signed.statuses.items():
        write_atomically(out / "status" / f"{number}.cwt", data)
    for file in (out / "status").glob("*.cwt"):
        if file.stem.isdigit() and int(file.stem) not in signed.numbers:
            file.unlink(missing_ok=True)
    if signed.plates is not None:
        write_atomically(out / "plates.cwt", signed.plates, mode=0o600)
    if signed.index is not None:
        write_atomically(out / "index.cwt", signed.index)


def _bundle_in(out: Path) -> list[bytes]:
    try:
        return [(out / BUNDLE_FILE).read_bytes()]
    except OSError:
        return []


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder's lock: of two runs that write into it, the later one reads after the earlier has written.

    Verifiers that keep their memory in the published folder lock that one itself.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as fault:
            # Some network file systems have no locks; then two runs must not write into one folder.
            if fault.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.EINVAL, errno.EBADF):
                raise
        yield
    finally:
        os.close(handle)
