"""Issuing a certificate of residence (§ 18 (1) BMG) to one person: by the register of residents, or as a clerk typed.

Who asks gives name, birth date and one address. The register's answer is what the certificate says, never what was
typed. Of somebody whom it does not know, or for whom disclosure is blocked (§§ 51, 52 BMG), it says nothing, and
which of both it is stays its secret: the person comes to the office. It costs nothing.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer import attributes as stored_attributes
from issuer.application import Application
from issuer.errors import IssuerRefusal
from issuer.holder_changes import RESIDENCE, supersede_certificate
from issuer.holders import Holder
from issuer.importing.check_file import check_rows
from issuer.importing.findings import Finding, Severity
from issuer.importing.rows import RowFile, SourceRow
from issuer.models import HolderRow, PassRow, RevisionRow
from issuer.numbering import next_number
from issuer.register import insert_passes, load_contents
from issuer.revocation_log import RevocationLog, RevokedPass
from issuer.rules.addresses import Address
from issuer.rules.sources.agreement import agrees
from issuer.rules.sources.protocols import (
    Home,
    NotByMachine,
    Person,
    Residence,
    Resident,
    SourceAway,
)
from issuer.settings import record_key
from passes.errors import PassRefusal
from passes.model import Attribute, PassContent, PassStatus
from passes.pass_types import PassType
from passes.periods import Period, berlin_day

# How the audit trail calls it.
ACTION: Final = "create"
LANGUAGES: Final = ("de", "en")
# Under these the certificate has its addresses, the main one first.
_PLACES: Final = ("main", "secondary", "further")
_REF_BYTES: Final = 12


class CertificateRefused(IssuerRefusal):
    """The register did not take a certificate; ``findings`` say at which columns, as for a row of a file."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__("CERTIFICATE_ROW")
        self.findings = findings


@dataclass(frozen=True, slots=True)
class Asked:
    """Who wants a certificate, as they say it themselves (§ 18 (1) with § 10 BMG: they have shown who they are)."""

    family_name: str
    given_names: str
    birth_date: date
    street: str
    house_number: str
    postal_code: str = ""


def certificate_type(application: Application) -> PassType | None:
    """The type of certificates of residence; None where the city has none."""
    try:
        return application.pass_types[RESIDENCE]
    except PassRefusal:
        return None


def look_up(application: Application, asked: Asked) -> Resident | SourceAway:
    """What the register of residents says of ``asked`` today, complete enough for a certificate.

    `SourceAway` where the city has connected none, or it gives no answer. Raises IssuerRefusal CERTIFICATE_AT_OFFICE:
    nobody is registered like that, more than one person is, the register lacks what a certificate must say, or
    disclosure is blocked. Which of them, is said to nobody.
    """
    person = Person(asked.family_name, asked.given_names, asked.birth_date)
    address = Address(asked.street, asked.house_number, asked.postal_code)
    day = berlin_day(application.now())
    found = application.sources.residents.resident(person, address, day)
    if isinstance(found, NotByMachine) or (isinstance(found, Resident) and not is_complete(found)):
        raise IssuerRefusal("CERTIFICATE_AT_OFFICE")
    if isinstance(found, SourceAway):
        return found
    with application.reading() as session:
        town = application.settings(session).city_name
    # An address in the register without a town is one in the city.
    return replace(found, homes=tuple(replace(one, city=one.city or town) for one in found.homes))


def is_complete(resident: Resident) -> bool:
    """Whether a certificate can say all of it: one main residence and at most two others, each whole."""
    kinds = [one.residence for one in resident.homes]
    parts = [
        part
        for one in resident.homes
        for part in (
            one.street,
            one.house_number,
            one.postal_code,
            resident.family_name,
            resident.given_names,
        )
    ]
    return (
        kinds[:1] == [Residence.MAIN] and kinds.count(Residence.MAIN) == 1 and len(kinds) < 4 and all(parts)
    )


def certificate_period(pass_type: PassType, today: date) -> Period:
    """As long as credentials of the type live: from today on."""
    return Period(today, today + timedelta(days=pass_type.eudi.lifetime_days - 1))


def issue(
    session: Session,
    application: Application,
    resident: Resident,
    *,
    actor: str,
    email: str = "",
    language: str = "de",
) -> PassContent:
    """A new certificate of what ``resident`` says, as the last step of a writing transaction.

    Certificates of the same person that say otherwise are superseded in it, whether the register of residents said so
    or a clerk. Raises IssuerRefusal CERTIFICATE_OFF
    without the type, NO_SIGNING_KEY; CertificateRefused for what cannot stand in one, RegisterRefusal, KeyRefusal;
    OSError where the log of revocations cannot be written.
    """
    pass_type, at, tenant = certificate_type(application), application.now(), application.tenant
    if pass_type is None:
        raise IssuerRefusal("CERTIFICATE_OFF")
    number = next_number(session, tenant, pass_type.id, at)
    period = certificate_period(pass_type, berlin_day(at))
    cells = {
        "certificate_id": number,
        "holder_ref": _ref(session, tenant, resident),
        "email": email,
        "language": language if language in LANGUAGES else LANGUAGES[0],
        "valid_from": period.first.isoformat(),
        "valid_to": period.last.isoformat(),
        "status": "active",
        **_said(resident),
    }
    columns = tuple(cells)
    row = RowFile(pass_type.id, columns, {one: one for one in columns}, [SourceRow(1, 1, cells)], ())
    checked = check_rows(session, tenant, pass_type, row, at)
    if not checked.accepted:
        raise CertificateRefused(tuple(one for one in checked.findings if one.severity is Severity.ERROR))
    sealer = application.sealer(session, pass_type)
    log = RevocationLog(application.workspace.folder)
    insert_passes(session, tenant, checked.accepted, sealer, at=at, actor=actor, log=log, action=ACTION)
    log.superseded(tenant, _supersede_linked(session, pass_type, resident, tenant, at=at, actor=actor), at)
    [content] = load_contents(session, tenant, pass_type, [number])
    return content


def resident_of(attributes: Mapping[str, Attribute]) -> Resident:
    """Who a certificate says somebody is. Raises KeyError for attributes of another type."""
    told = {name: value for name, value in attributes.items() if isinstance(value, str)}
    homes = tuple(
        Home(
            Residence.MAIN if place == _PLACES[0] else Residence.SECONDARY,
            *(told.get(f"{place}_{part}", "") for part in ("street", "house_number", "postal_code", "city")),
        )
        for place in _PLACES
        if f"{place}_street" in told
    )
    born = attributes["birth_date"]
    if not isinstance(born, date):
        raise KeyError("birth_date")
    words = ("usual_given_name", "former_names", "doctoral_degree", "artistic_name")
    return Resident(
        told["family_name"], told["given_names"], born, homes, **{name: told.get(name, "") for name in words}
    )


def _said(resident: Resident) -> Mapping[str, str]:
    """What it says as cells of a row."""
    cells = {
        "family_name": resident.family_name,
        "given_names": resident.given_names,
        "birth_date": resident.birth_date.isoformat(),
        "usual_given_name": resident.usual_given_name,
        "former_names": resident.former_names,
        "doctoral_degree": resident.doctoral_degree,
        "artistic_name": resident.artistic_name,
    }
    for place, home in zip(_PLACES, resident.homes, strict=False):
        cells |= {
            f"{place}_street": home.street,
            f"{place}_house_number": home.house_number,
            f"{place}_postal_code": home.postal_code,
            f"{place}_city": home.city,
        }
    return cells


def _supersede_linked(
    session: Session, pass_type: PassType, resident: Resident, tenant: str, *, at: datetime, actor: str
) -> list[RevokedPass]:
    """Supersede what says otherwise of ``resident`` under another ref: by the register's key, or by a typed name.

    Where the register has several people of the name and birth date, what was typed of one is nobody's certificate.
    """
    own, found = _ref(session, tenant, resident), _named_like(session, pass_type, resident, tenant)
    others = [one for one in found if one[0].holder_ref != own]
    typed = {
        row.holder_ref: row.holder_ref == _ref(session, tenant, certified) for row, _, certified in others
    }
    keyed = {ref for ref, is_typed in typed.items() if not is_typed}
    superseded: list[RevokedPass] = []
    for row, revision, certified in others:
        is_same = typed[row.holder_ref] if resident.key else typed[row.holder_ref] or len(keyed) == 1
        if is_same and not agrees(resident, certified):
            superseded.append(supersede_certificate(session, row, revision, at, actor))
    return superseded


def _named_like(
    session: Session, pass_type: PassType, resident: Resident, tenant: str
) -> list[tuple[PassRow, RevisionRow, Resident]]:
    """The certificates in force of people of this name and birth date, and what they say."""
    name = Holder("", resident.family_name, resident.given_names)
    rows = session.execute(
        select(PassRow, RevisionRow)
        .join(HolderRow, (HolderRow.tenant == PassRow.tenant) & (HolderRow.ref == PassRow.holder_ref))
        .join(
            RevisionRow,
            (RevisionRow.tenant == PassRow.tenant)
            & (RevisionRow.type_id == PassRow.type_id)
            & (RevisionRow.number == PassRow.number),
        )
        .where(
            PassRow.tenant == tenant,
            PassRow.type_id == pass_type.id,
            PassRow.status.in_((PassStatus.ACTIVE.value, PassStatus.SUSPENDED.value)),
            RevisionRow.superseded_at.is_(None),
            HolderRow.search_keys == name.search_keys,
        )
        .order_by(PassRow.number)
    )
    said = [
        (row, revision, resident_of(stored_attributes.decode(pass_type, revision.attributes)))
        for row, revision in rows
    ]
    return [one for one in said if one[2].birth_date == resident.birth_date]


def _ref(session: Session, tenant: str, resident: Resident) -> str:
    """By which certificates of one person belong together: a keyed digest, of the register's key if it has one."""
    told = (
        resident.key
        or f"{resident.family_name}\x1f{resident.given_names}\x1f{resident.birth_date.isoformat()}"
    )
    mac = hmac.digest(record_key(session, tenant), f"resident\x1f{told}".encode(), "sha256")
    return f"R-{mac[:_REF_BYTES].hex()}"
