"""Publishing into the register: what the service hands out, signed anew whenever something has changed.

No change is missed. Whatever is published changes in one transaction with its audit entry. A run reads the head of
the audit trail and all entries from one state; when its lists are stored, that head is stored with them. A change is
therefore in the lists, or its entry lies behind the stored head, and the next look finds the lists due.

Nothing is rolled back. A run stores its lists only if nothing was stored since the state it has read, and if its
number is higher than theirs: so what it replaces was made from an older state, with lower sequences, and what it
leaves as it is was compared with that state. Numbers rise with the state also where somebody publishes into a folder
(`issuer.list_content`), and they follow the clock, so that a restored register does not fall behind the devices.

All lists are stored in one transaction: a run that dies leaves the old set, whole. That only one worker publishes at
a time spares work and nothing more; it takes a lease for half a minute, and who comes late is refused as above.

A new pass type or a restored register leaves no audit entry, so the first run of a process signs everything anew.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, delete, func, insert, select, update
from sqlalchemy.orm import Session

from issuer.list_content import ListContent, PublishedPlates, next_number, read_content
from issuer.models import AuditHeadRow, TenantRow
from issuer.models_delivery import PublicationRow, PublishedListRow
from issuer.publish import SignedLists, mark_published, sign_lists
from issuer.trust_bundle import SignedBundle, current_bundle
from keys.bundle import root_to_pem

if TYPE_CHECKING:
    from issuer.application import Application

ROOT: Final = "root.pub"
BUNDLE: Final = "bundle.cwt"
INDEX: Final = "index.cwt"
PLATES: Final = "plates.cwt"
_STATUS: Final = "status/"
_BUNDLE_FILES: Final = (ROOT, BUNDLE)

_NEVER: Final = -1
# Longer than a run takes; when a worker dies in one, others wait as long.
_LEASE: Final = timedelta(seconds=30)
_WAIT_AFTER_FAILURE: Final = timedelta(seconds=5)
_LONGEST_WAIT: Final = timedelta(minutes=1)
_LOOK_FOR_ROOT: Final = timedelta(minutes=1)
_log = logging.getLogger("stadtpass.publication")


def status_name(number: int) -> str:
    """The name of a status list among the published ones."""
    return f"{_STATUS}{number}"


@dataclass(slots=True)
class _Memory:
    """What this process knows of its last run: when that was, and when to look again though nothing has changed."""

    looked_at: datetime | None = None
    look_at: datetime | None = None
    root_missing: bool = False
    failures: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


_memories: WeakKeyDictionary[Engine, _Memory] = WeakKeyDictionary()
_memories_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class _Before:
    """What is stored, and its version; ``everything``: nothing of it may stay."""

    version: _Version
    lists: Mapping[str, bytes]
    everything: bool

    @property
    def plates(self) -> PublishedPlates | None:
        """The plate list, if it may be built on."""
        if self.everything or PLATES not in self.lists:
            return None
        return PublishedPlates(self.lists[PLATES], self.version.audit_sequence)


class _Version(NamedTuple):
    """The number of the run that has stored lists last, the sequence of the bundle, and how far the lists go.

    A run that found nothing to sign moves only the last of them.
    """

    number: int
    bundle: int
    audit_sequence: int


def publish_due(application: Application) -> bool:
    """Publish if something has changed or grows old; returns whether lists were stored.

    Costs one query if nothing is due. An offline root does not hold up the lists: the bundle stays the one before as
    long as it lets the list key sign. Raises IssuerRefusal and KeyRefusal where the lists cannot be signed; the old
    ones stay, and for a while, at first a few seconds, nobody tries again.
    """
    with _memories_lock:
        memory = _memories.setdefault(application.engine, _Memory())
    with memory.lock:
        at = application.now()
        if not _is_time(memory, at) and not _has_changed(application):
            return False
        holder = secrets.token_hex(16)
        number = _begin(application, at, holder)
        if number is None:
            return False
        try:
            stored = _run(application, memory, number, at)
        except BaseException:
            wait = _WAIT_AFTER_FAILURE * (1 << min(memory.failures, 4))
            memory.failures += 1
            _end(application, holder, at + min(wait, _LONGEST_WAIT))
            raise
        memory.failures = 0
        _end(application, holder, None)
        return stored


def _is_time(memory: _Memory, at: datetime) -> bool:
    """Whether to look though nothing has changed: now and then, at first, and when the clock was set back."""
    if memory.looked_at is None or memory.look_at is None:
        return True
    return not memory.looked_at <= at < memory.look_at


def _has_changed(application: Application) -> bool:
    tenant = application.tenant
    with application.reading() as session:
        head, published = session.execute(
            select(AuditHeadRow.sequence, PublicationRow.audit_sequence)
            .select_from(TenantRow)
            .outerjoin(AuditHeadRow, AuditHeadRow.tenant == TenantRow.tenant)
            .outerjoin(PublicationRow, PublicationRow.tenant == TenantRow.tenant)
            .where(TenantRow.tenant == tenant)
        ).one()
    return published is None or (head or 0) != published


def _begin(application: Application, at: datetime, holder: str) -> int | None:
    """Take the lease and a number; None while another run has the lease."""
    with application.writing() as session:
        row = session.get(PublicationRow, application.tenant)
        if row is None:
            row = PublicationRow(tenant=application.tenant, audit_sequence=_NEVER, published_at=at)
            session.add(row)
        # A lease that is longer than any can be is one of a clock that was set back since.
        elif row.held_until is not None and at < row.held_until <= at + _LONGEST_WAIT:
            return None
        row.holder, row.held_until = holder, at + _LEASE
        return next_number(session, application.tenant, at)


def _end(application: Application, holder: str, until: datetime | None) -> None:
    with application.writing() as session:
        session.execute(
            update(PublicationRow)
            .where(PublicationRow.tenant == application.tenant, PublicationRow.holder == holder)
            .values(holder="", held_until=until)
        )


def _run(application: Application, memory: _Memory, number: int, at: datetime) -> bool:
    with application.reading() as session:
        before = _before(session, application.tenant, everything=memory.look_at is None)
        content = read_content(
            session,
            application.tenant,
            application.pass_types,
            application.keys,
            number,
            at,
            before.plates,
        )
    if content is None:
        return False
    kid = content.list_key.kid
    copies = [before.lists[BUNDLE]] if BUNDLE in before.lists else []
    bundle = current_bundle(application.workspace, content.bundle, number, at, copies, list_kid=kid)
    previous = {} if before.everything else before.lists
    signed = sign_lists(
        content,
        application.keys.signer(content.list_key.uri),
        {int(name.removeprefix(_STATUS)): one for name, one in previous.items() if name.startswith(_STATUS)},
        previous.get(INDEX),
    )
    stored = _store(application, content, bundle, signed, before)
    if stored is None:
        return False
    _note(memory, bundle, min(signed.renew_at, content.plates_renew_at), at)
    return stored


def _before(session: Session, tenant: str, *, everything: bool) -> _Before:
    rows = session.execute(
        select(PublishedListRow.name, PublishedListRow.data).where(PublishedListRow.tenant == tenant)
    )
    return _Before(
        version=_version(session, tenant),
        lists=dict(rows.all()),
        everything=everything,
    )


def _version(session: Session, tenant: str) -> _Version:
    is_bundle = PublishedListRow.name.in_(_BUNDLE_FILES)
    highest = select(func.max(PublishedListRow.sequence)).where(PublishedListRow.tenant == tenant)
    reached = select(PublicationRow.audit_sequence).where(PublicationRow.tenant == tenant)
    return _Version(
        session.scalar(highest.where(~is_bundle)) or 0,
        session.scalar(highest.where(is_bundle)) or 0,
        session.scalars(reached).one(),
    )


def _store(
    application: Application,
    content: ListContent,
    bundle: SignedBundle,
    signed: SignedLists,
    before: _Before,
) -> bool | None:
    """Store what was signed, in one transaction; returns whether that was anything, None if it came too late."""
    tenant = application.tenant
    files = {ROOT: root_to_pem(bundle.root), BUNDLE: bundle.data}
    fresh = {name: data for name, data in files.items() if before.lists.get(name) != data}
    fresh |= {status_name(one): data for one, data in signed.statuses.items()}
    fresh |= {INDEX: signed.index} if signed.index is not None else {}
    fresh |= {PLATES: signed.plates} if signed.plates is not None else {}
    gone = [
        name
        for name in before.lists
        if name.startswith(_STATUS) and int(name.removeprefix(_STATUS)) not in signed.numbers
    ]
    rows = [
        {
            "tenant": tenant,
            "name": name,
            "data": data,
            "etag": hashlib.sha256(data).hexdigest(),
            "sequence": bundle.frame.sequence if name in _BUNDLE_FILES else content.number,
            "published_at": content.at,
        }
        for name, data in fresh.items()
    ]
    with application.writing() as session:
        version = _version(session, tenant)
        if version != before.version or version.number >= content.number:
            return None
        session.execute(
            delete(PublishedListRow).where(
                PublishedListRow.tenant == tenant, PublishedListRow.name.in_([*fresh, *gone])
            )
        )
        if rows:
            session.execute(insert(PublishedListRow), rows)
        if not bundle.outdated:
            mark_published(session, content)
        session.execute(
            update(PublicationRow)
            .where(PublicationRow.tenant == tenant)
            .values(audit_sequence=content.audit_sequence, published_at=content.at)
        )
    return bool(rows)


def _note(memory: _Memory, bundle: SignedBundle, renew_at: int, at: datetime) -> None:
    """Remember when to look again, and say once that the root is needed."""
    lists_until = datetime.fromtimestamp(renew_at, UTC)
    bundle_until = datetime.fromtimestamp(bundle.young_until, UTC)
    memory.looked_at = at
    memory.look_at = min(lists_until, at + _LOOK_FOR_ROOT if bundle.root_missing else bundle_until)
    if bundle.root_missing != memory.root_missing:
        memory.root_missing = bundle.root_missing
        if bundle.root_missing:
            _log.warning("root offline, the bundle stays as it was", extra={"outdated": bundle.outdated})
        else:
            _log.info("bundle signed again")
