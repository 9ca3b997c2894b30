"""Credentials for the wallet of these tests: the city's own, and identities of the demo's provider."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from issuer.application import Application
from issuer.eudi import addresses, status_lists
from issuer.eudi.identity import document_signer, signer_id
from issuer.models_eudi import EudiCredentialRow
from issuer.presentations.asking import Asked, Asker, Outcome, ask, outcome
from issuer.presentations.wishes import Wish
from issuer.setup import DEMO_PID_KEY, DEMO_PID_PROVIDER
from keys.eudi_certificates import EudiSigningIdentity, EudiUse
from keys.uri import KeyUri
from passes import mdoc, sd_jwt
from passes.credential_frame import StatusReference, Validity
from passes.credentials import Binding, CredentialFactory
from passes.model import PassContent
from passes.sd_jwt import Selective
from tests.eudi_presenting_wallet import MDOC, SD_JWT, Held
from tests.eudi_wallet import Wallet as HolderKey
from tests.passes.credential_samples import SAMPLES

DESK = Asker("staff", "the session of somebody at the desk")
OTHER_DESK = Asker("staff", "the session of somebody else")
APPLICANT = Asker("case", "a visit")
BACK = "/office/shown"
PID_VCT, PID_DOCTYPE = "urn:eudi:pid:de:1", "eu.europa.ec.eudi.pid.1"
RESIDENCE, CARD = "residence-certificate", "library-card"


def asked(
    application: Application, wish: Wish = Wish.LIBRARY_CARD, asker: Asker = DESK, back: str = BACK
) -> Asked:
    with application.writing() as session:
        return ask(session, application, wish, asker, back=back, actor="staff:test")


def become(application: Application, made: Asked, asker: Asker = DESK, code: str | None = None) -> Outcome:
    with application.reading() as session:
        return outcome(session, application, made.id, asker, response_code=code)


def own_place(application: Application, type_id: str, status: int = 0) -> StatusReference:
    """A place in one of the city's own lists that says ``status``."""
    with application.writing() as session:
        series = status_lists.Series(type_id, "2026H2", signer_id(session, application))
        [(number, index)] = status_lists.allocate(session, application.tenant, series, 1)
        session.add(
            EudiCredentialRow(
                tenant=application.tenant,
                list_number=number,
                list_index=index,
                status_value=status_lists.VALID,
                type_id=type_id,
                number="",
                n=1,
                session_id="",
                batch_id="",
                generation=0,
                configuration="",
                format="",
                issued_at=application.now(),
                expires_at=application.now() + timedelta(days=10),
            )
        )
        session.flush()
        if status:
            here = (EudiCredentialRow.list_number == number, EudiCredentialRow.list_index == index)
            status_lists.mark(session, application.tenant, here, status, only=[status_lists.VALID])
        uri = addresses.address(application.settings(session), f"{addresses.STATUS}{number}")
    return StatusReference(uri, index)


def own(
    application: Application,
    type_id: str,
    form: Any,
    *,
    status: StatusReference | None = None,
    content: PassContent | None = None,
    identity: EudiSigningIdentity | None = None,
) -> Held:
    """A credential of the city's own."""
    key = HolderKey(application.now())
    with application.reading() as session:
        signer = identity or document_signer(session, application)
        city = application.settings(session).city(application.tenant)
    pass_type = application.pass_types[type_id]
    binding = Binding(key.public_key, status or own_place(application, type_id))
    factory = CredentialFactory(pass_type, city, signer)
    [made] = factory.issue(form, content or SAMPLES[type_id], [binding], application.now())
    names = {SD_JWT: f"{city.base_url}{pass_type.eudi.vct}", MDOC: str(pass_type.eudi.doctype)}
    return Held(form, names[form], made, key)


def pid_provider(application: Application) -> EudiSigningIdentity:
    """The demo's provider of identities."""
    folder = application.workspace.folder
    signer = application.keys.signer(KeyUri.parse(f"file:{DEMO_PID_KEY}"))
    pem = (folder / DEMO_PID_PROVIDER).read_text()
    return EudiSigningIdentity.from_pem(EudiUse.DOCUMENT_SIGNER, pem, signer)


def times(
    at: datetime, begin: timedelta = -timedelta(days=1), end: timedelta = timedelta(days=9)
) -> Validity:
    return Validity(*(int((at + one).timestamp()) for one in (begin, begin, end)))


def pid(
    application: Application,
    form: str,
    *,
    identity: EudiSigningIdentity | None = None,
    house_number: bool = False,
    vct: str = PID_VCT,
    doctype: str = PID_DOCTYPE,
    validity: Validity | None = None,
    status: StatusReference | None = None,
    without: str = "",
) -> Held:
    """An identity as the PID Rulebook describes it."""
    key = HolderKey(application.now())
    signer = identity or pid_provider(application)
    when = validity or times(application.now())
    person = {"family_name": "Müller-Đặng", "given_name": "Şeyma Marie"}
    address = {"street_address": "Zum Kühlen Grunde 17 c", "postal_code": "40213", "locality": "Düsseldorf"}
    if house_number:
        address |= {"street_address": "Zum Kühlen Grunde", "house_number": "17 c"}
    address.pop(without, None)
    person.pop(without, None)
    if form == SD_JWT:
        claims: dict[str, Any] = {name: Selective(value) for name, value in person.items()}
        claims |= {
            "birthdate": Selective("1984-02-29"),
            "address": Selective({name: Selective(value) for name, value in address.items()}),
            "nationalities": Selective(["DE"]),
            "place_of_birth": {"locality": Selective("Köln")},
            "issuing_authority": "TEST",
            "issuing_country": "DE",
        }
        made = sd_jwt.issue(
            signer,
            vct=vct,
            vct_integrity="sha256-" + "A" * 43 + "=",
            claims=claims,
            holder=key.public_key,
            validity=when,
            status=status,
        )
        return Held(SD_JWT, vct, made, key)
    names = {"street_address": "street", "postal_code": "postal_code", "locality": "city"}
    elements: dict[str, Any] = {
        **person,
        **{f"resident_{names.get(name, name)}": value for name, value in address.items()},
        "birth_date": application.now().date(),
        "portrait": b"jpeg",
    }
    made = mdoc.issue(
        signer,
        doctype=doctype,
        elements={PID_DOCTYPE: elements},
        holder=key.public_key,
        validity=when,
        status=status,
    )
    return Held(MDOC, doctype, made, key)
