"""Keys, certificates and lists as they stand, with what the operator has to do: to look at only.

Nothing here touches a private key. Those are made, activated and withdrawn on the command line, where the keystores
and the offline root are.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from litestar import Response, get
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from issuer import keyring
from issuer.console.desk import Desk, desk_of
from issuer.console.moments import moment
from issuer.models_delivery import PublicationRow, PublishedListRow
from issuer.nightly import certificates
from issuer.nightly.certificates import EndWarning
from issuer.trust_bundle import BUNDLE_FILE
from issuer.web.health import notes_about, reasons_against
from issuer.web.reader import AnyRequest
from keys.bundle import read_bundle
from keys.errors import Refusal
from keys.lifecycle import KeyRecord, KeyState, Purpose
from passes.display import day_text
from passes.periods import berlin_day

_BADGES: Final = {
    KeyState.PENDING: "info",
    KeyState.ACTIVE: "success",
    KeyState.RETIRED: "warning",
    KeyState.REVOKED: "danger",
}
# In the order in which the page shows them.
_GROUPS: Final = (
    ("SEALS", (Purpose.SEAL,)),
    ("LISTS", (Purpose.ROOT, Purpose.LIST, Purpose.PLATE_LIST)),
    ("APPLE", (Purpose.APPLE_PASS, Purpose.APNS)),
    ("GOOGLE", (Purpose.GOOGLE,)),
    ("EUDI", (Purpose.EUDI, Purpose.EUDI_ACCESS)),
    ("DOCUMENTS", (Purpose.PDF_SEAL,)),
)
_SOON: Final = timedelta(days=60)


@get("/office/keys", sync_to_thread=True)
def show_keys(request: AnyRequest) -> Response[Any]:
    """Everything that signs, by what it is for, and what ends soon."""
    desk = desk_of(request)
    application = desk.application
    with application.reading() as session:
        records = keyring.records(session, application.tenant)
        published = session.get(PublicationRow, application.tenant)
        lists = session.scalar(
            select(func.count())
            .select_from(PublishedListRow)
            .where(PublishedListRow.tenant == application.tenant)
        )
        bundle = _bundle(desk, session, records, application.now())
        ttl = application.settings(session).list_ttl
    now = application.now()
    found = certificates.warnings(application)
    known = {purpose for _, purposes in _GROUPS for purpose in purposes}
    groups = [*_GROUPS, ("OTHERS", tuple(one for one in Purpose if one not in known))]
    return desk.page(
        "keys.html",
        groups=[
            {"title": desk.reader.say(f"OFFICE_KEYS_{name}"), "id": name.lower(), "keys": keys}
            for name, purposes in groups
            if (keys := [_described(desk, one, now) for one in records if one.purpose in purposes])
        ],
        warnings=[_warning(desk, one) for one in found],
        published=moment(published.published_at, desk.reader.language) if published is not None else "",
        is_fresh=published is not None and published.published_at + ttl > now,
        bundle=bundle,
        lists=lists,
        health=[*reasons_against(application), *notes_about(application)],
    )


def _described(desk: Desk, record: KeyRecord, now: datetime) -> dict[str, Any]:
    say, language = desk.reader.say, desk.reader.language
    days = (record.not_after - now).days
    is_used = record.state in (KeyState.ACTIVE, KeyState.PENDING)
    return {
        "kid": record.kid.hex(),
        "purpose": say(f"OFFICE_PURPOSE_{record.purpose.name}"),
        "state": say(f"OFFICE_KEY_{record.state.name}"),
        "badge": _BADGES[record.state],
        "test": record.test,
        "first": day_text(berlin_day(record.not_before), language),
        "last": day_text(berlin_day(record.not_after), language),
        "left": max(days, 0) if is_used else None,
        "is_urgent": is_used and record.not_after - now <= _SOON,
        "types": say("OFFICE_KEYS_ALL_TYPES")
        if keyring.ALL_TYPES in record.pass_types
        else ", ".join(record.pass_types),
        "certificates": [_certificate(one, now, language) for one in _chain(record)],
        "steps": [
            (say(f"OFFICE_KEY_AT_{name}"), moment(at, language))
            for name, at in (
                ("PUBLISHED", record.published_at),
                ("ACTIVATED", record.activated_at),
                ("RETIRED", record.retired_at),
                ("REVOKED", record.revoked_at),
            )
            if at is not None
        ],
    }


def _chain(record: KeyRecord) -> list[x509.Certificate]:
    pem = record.certificate_pem
    return x509.load_pem_x509_certificates(pem.encode()) if pem else []


def _certificate(one: x509.Certificate, now: datetime, language: str) -> dict[str, Any]:
    names = one.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    end = one.not_valid_after_utc
    return {
        "name": str(names[0].value) if names else one.subject.rfc4514_string(),
        "last": day_text(berlin_day(end), language),
        "left": max((end - now).days, 0),
        "is_urgent": end - now <= _SOON,
    }


def _warning(desk: Desk, one: EndWarning) -> dict[str, Any]:
    return {
        "text": one.sentence(desk.reader.language),
        "kind": "danger" if one.within <= 7 else "warning",
        "command": _COMMANDS.get(one.purpose, ""),
    }


# What the operator types; the handbook has the whole way (docs/operation.md).
_COMMANDS: Final = {
    Purpose.APPLE_PASS.value: "stadtpass keys add apple-pass --p12 pass.p12 --chain wwdr.pem",
    Purpose.APNS.value: "stadtpass keys add apns --p12 push.p12 --chain wwdr.pem",
    Purpose.SEAL.value: "stadtpass keys add seal",
    Purpose.LIST.value: "stadtpass keys add list",
    Purpose.ROOT.value: "stadtpass keys add root",
    Purpose.EUDI.value: "stadtpass keys add eudi",
    Purpose.EUDI_ACCESS.value: "stadtpass keys add eudi-access",
    Purpose.PDF_SEAL.value: "stadtpass keys add pdf-seal",
    Purpose.GOOGLE.value: "stadtpass keys add google --key account.pem",
    "bundle": "stadtpass publish --out DIR",
}


def _bundle(desk: Desk, session: Session, records: Iterable[KeyRecord], now: datetime) -> dict[str, Any]:
    """Of when the bundle that is out is, and how long the root lives that has to sign the next one."""
    language = desk.reader.language
    row = session.get(PublishedListRow, (desk.application.tenant, BUNDLE_FILE))
    roots = [one for one in records if one.purpose is Purpose.ROOT and one.state is KeyState.ACTIVE]
    told: dict[str, Any] = {"issued": "", "days": 0, "last": "", "is_old": False}
    for root in roots:
        key = root.public_key()
        if row is None or not isinstance(key, ec.EllipticCurvePublicKey):
            continue
        try:
            frame = read_bundle(row.data, key)[0].frame
        except Refusal:
            # Signed by the other root: while the root changes there are two.
            continue
        issued = datetime.fromtimestamp(frame.issued_at, UTC)
        told = {
            "issued": moment(issued, language),
            "days": (now - issued).days,
            "last": day_text(berlin_day(datetime.fromtimestamp(frame.expires, UTC)), language),
            # It is to be signed anew when it is older than half its time.
            "is_old": now - issued > timedelta(seconds=frame.ttl) / 2,
        }
    return told


HANDLERS: Final = [show_keys]
