"""Warnings 60, 30 and 7 days before a certificate, key or trust bundle ends, and once it has.

Each stands in the log every night with its code, so that monitoring can watch for it; the operator gets a mail once
for each step. Only what is in use counts: a key that has a successor may end in peace.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy.orm import Session

from issuer import certified_keys, keyring
from issuer.delivery import mail
from issuer.models_delivery import PublishedListRow, ReminderRow
from issuer.nightly.reports import Report
from issuer.trust_bundle import BUNDLE_FILE
from keys.apple_certificates import WARN_DAYS
from keys.bundle import read_bundle
from keys.errors import Refusal
from keys.lifecycle import KeyRecord, KeyState, Purpose
from keys.texts import texts
from passes.periods import BERLIN, berlin_day

if TYPE_CHECKING:
    from issuer.application import Application

NAME: Final = "warnings"
# What a warning stands for among the reminders; no pass type can be called that.
_MARK: Final = "#"
_log = logging.getLogger("stadtpass.nightly")


@dataclass(frozen=True, slots=True)
class EndWarning:
    """Something in use that ends soon or has ended.

    ``code`` is stable and names the sentence; ``package`` has it. ``end`` is aware; ``within`` is the threshold in
    days that was crossed last: 60, 30, 7, or 0 for what has ended.
    """

    code: str
    package: str
    purpose: str
    name: str
    end: datetime
    within: int
    days_left: int

    def sentence(self, language: str = "de") -> str:
        """The warning with its remedy, in ``de`` or ``en``."""
        return texts(self.package, language)(
            self.code,
            name=self.name,
            purpose=self.purpose,
            end=self.end.astimezone(BERLIN),
            days=self.days_left,
        )


def warnings(application: Application) -> list[EndWarning]:
    """What of the city's certificates, keys and lists ends within 60 days or has ended, the most urgent first."""
    with application.reading() as session:
        found = list(_all(application, session))
    return sorted(found, key=lambda one: (one.end, one.purpose, one.name))


def sentence_of(stored: Mapping[str, Any], language: str = "de") -> str:
    """The sentence of a warning as it stands in a queued mail."""
    end = datetime.fromisoformat(stored["end"])
    return EndWarning(**{**stored, "end": end}).sentence(language)


def preview(application: Application, session: Session) -> dict[str, int]:
    """How many warnings would be given now that were not given before."""
    new = [one for one in _all(application, session) if not _given(session, application, one)]
    return {"warned": len(new)} if new else {}


def run(application: Application, report: Report) -> None:
    """Log every warning, and mail those whose step is new."""
    found = warnings(application)
    for one in found:
        extra = {"code": one.code, "purpose": one.purpose, "days_left": one.days_left, "within": one.within}
        _log.warning("ends soon: %s", one.code, extra=extra)
    if not found:
        return
    with application.writing() as session:
        new = [one for one in found if not _given(session, application, one)]
        if not new:
            return
        channel = "mail" if application.settings(session).operator_mail else "log"
        for one in new:
            session.add(
                ReminderRow(
                    tenant=application.tenant,
                    type_id=_type_of(one),
                    number=_number_of(one),
                    period_last=berlin_day(one.end),
                    days=one.within,
                    channel=channel,
                    created_at=application.now(),
                )
            )
        session.flush()
        if channel == "mail":
            mail.queue_operator_mail(session, application, {"warnings": [_stored(one) for one in new]})
        report.add(session, {"warned": len(new)})


def _all(application: Application, session: Session) -> Iterator[EndWarning]:
    now = application.now()
    records = keyring.records(session, application.tenant)
    for one in _in_use(records, [kind.id for kind in application.pass_types]):
        if one.certificate_pem:
            yield from _certificates(one, now)
        else:
            yield from _warned("KEY", "issuer", one.purpose.value, one.kid.hex(), one.not_after, now)
    yield from _bundle(application, session, records, now)


def _in_use(records: Iterable[KeyRecord], type_ids: Iterable[str]) -> list[KeyRecord]:
    """The keys that sign: the active one of each purpose that was activated last, and so for each pass type."""
    active: dict[Purpose, list[KeyRecord]] = {}
    for one in records:
        # Symmetric keys sign nothing, and their end stops nothing.
        if one.state is KeyState.ACTIVE and one.spki:
            active.setdefault(one.purpose, []).append(one)
    used: dict[bytes, KeyRecord] = {}
    for purpose, keys in active.items():
        if purpose is Purpose.SEAL:
            groups = [[one for one in keys if keyring.may_seal(one, type_id)] for type_id in type_ids]
        else:
            groups = [keys]
        for group in filter(None, groups):
            newest = max(group, key=lambda one: (one.activated_at or one.not_before, one.kid))
            used[newest.kid] = newest
    return list(used.values())


def _certificates(record: KeyRecord, now: datetime) -> Iterator[EndWarning]:
    """A key's certificate and those above it, without which phones and wallets take nothing it signs."""
    for place, one in enumerate(x509.load_pem_x509_certificates((record.certificate_pem or "").encode())):
        names = one.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        name = str(names[0].value) if names else one.subject.rfc4514_string()
        if record.purpose in certified_keys.CERTIFIED:
            stem = f"{certified_keys.certified_kind(record)[0].family}_CERTIFICATE"
        else:
            stem = "APPLE_WWDR" if place else "APPLE_CERTIFICATE"
        yield from _warned(stem, "keys", record.purpose.value, name, one.not_valid_after_utc, now)


def _bundle(
    application: Application, session: Session, records: Iterable[KeyRecord], now: datetime
) -> Iterator[EndWarning]:
    roots = [one for one in records if one.purpose is Purpose.ROOT and one.state is KeyState.ACTIVE]
    data = _bundle_data(application, session)
    for root in roots:
        key = root.public_key()
        if data is None or not isinstance(key, ec.EllipticCurvePublicKey):
            continue
        try:
            bundle, _ = read_bundle(data, key)
        except Refusal:
            # Signed by the other root: while the root changes there are two.
            continue
        end = datetime.fromtimestamp(bundle.frame.expires, UTC)
        yield from _warned("BUNDLE", "issuer", "bundle", BUNDLE_FILE, end, now)
        return


def _bundle_data(application: Application, session: Session) -> bytes | None:
    row = session.get(PublishedListRow, (application.tenant, BUNDLE_FILE))
    if row is not None:
        return row.data
    file = application.workspace.folder / BUNDLE_FILE
    return file.read_bytes() if file.is_file() else None


def _warned(
    stem: str, package: str, purpose: str, name: str, end: datetime, now: datetime
) -> Iterator[EndWarning]:
    left = end - now
    ended = "EXPIRED" if package == "keys" else "HAS_ENDED"
    if left <= timedelta(0):
        yield EndWarning(f"{stem}_{ended}", package, purpose, name, end, 0, 0)
        return
    crossed = [days for days in WARN_DAYS if left <= timedelta(days=days)]
    if crossed:
        yield EndWarning(f"{stem}_ENDS_SOON", package, purpose, name, end, min(crossed), left.days)


def _given(session: Session, application: Application, one: EndWarning) -> bool:
    key = (application.tenant, _type_of(one), _number_of(one), berlin_day(one.end), one.within)
    return session.get(ReminderRow, key) is not None


def _type_of(one: EndWarning) -> str:
    return f"{_MARK}{one.purpose}"


def _number_of(one: EndWarning) -> str:
    """A name that fits: certificates' own can be long."""
    return hashlib.sha256(one.name.encode()).hexdigest()[:32]


def _stored(one: EndWarning) -> dict[str, Any]:
    return {
        "code": one.code,
        "package": one.package,
        "purpose": one.purpose,
        "name": one.name,
        "end": one.end.isoformat(),
        "within": one.within,
        "days_left": one.days_left,
    }
