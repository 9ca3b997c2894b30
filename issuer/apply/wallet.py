"""A wallet shows where somebody lives, instead of a document: the code to scan, the link on this device, the answer.

What was shown is compared with the name and address of the application, and forgotten with that. Whatever comes of
it, uploading a document stays possible.
"""

from __future__ import annotations

import base64
import re
from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath

from issuer.apply.answers import line_of
from issuer.apply.evidence_needs import CREDENTIALS, OPEN, evidence_guest, needed
from issuer.apply.forms import PageForm
from issuer.apply.guests import Guest, NoDraft, acting_guest_of, guest_of
from issuer.apply.journey import Page
from issuer.cases import proofs, steps, store
from issuer.cases.facts import ResidenceProof
from issuer.cases.proofs import Difference
from issuer.errors import IssuerRefusal
from issuer.presentations import asking
from issuer.presentations.asking import Asker, Outcome
from issuer.presentations.store import OPEN as ASKED
from issuer.presentations.store import Shown, State
from issuer.presentations.wishes import Wish
from issuer.presentations.words import told
from issuer.web import rates
from issuer.web.reader import AnyRequest, Device
from passes.periods import BERLIN
from passes.qr import link_png

PATH: Final = "/apply/wallet"
_NO_CONTENT: Final = 204
_LONGEST_ISSUER: Final = 120
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")
_ASKER: Final = "case-visit-wallet"
# What the next page says of a credential that does not agree with the application.
_TOLD: Final = {
    frozenset({Difference.NAME}): "PROOF_NAME",
    frozenset({Difference.ADDRESS}): "PROOF_ADDRESS",
    frozenset(Difference): "PROOF_BOTH",
}


@post(PATH, status_code=303, sync_to_thread=True)
def begin(request: AnyRequest, data: PageForm) -> Response[Any]:
    """Ask, and on to the code; back to the documents where a wallet cannot help."""
    guest = evidence_guest(acting_guest_of(request, data))
    if not needed(guest).credentials:
        return guest.reader.go(Page.DOCUMENTS.path)
    with guest.application.writing() as session:
        guest.check(session)
        guest.limit(session, rates.WALLETS_OF_CASE)
        asking.withdraw_if_there(session, guest.application, _token(line_of(data, "instead")), _asker(guest))
        asked = asking.ask(
            session,
            guest.application,
            Wish.PROOF_OF_RESIDENCE,
            _asker(guest),
            back=f"{PATH}/{asking.ASKED_ID}",
        )
    return guest.reader.go(f"{PATH}/{asked.id}")


@get(PATH + "/{asked_id:str}", sync_to_thread=True)
def show(request: AnyRequest, asked_id: FromPath[str]) -> Response[Any]:
    """How the question stands. A script asks again and again, and gets an answer only where that has changed."""
    guest = evidence_guest(guest_of(request))
    code = _token(request.query_params.get("response_code", ""))
    found = _outcome(guest, asked_id, code)
    if found is None:
        return guest.reader.go(Page.DOCUMENTS.path, told="PROOF_GONE")
    if guest.reader.is_partial and request.query_params.get("seen") == found.state:
        return Response(b"", status_code=_NO_CONTENT, headers={"Cache-Control": "no-store"})
    asked = found.asked if found.state is State.WAITING else None
    return guest.page(
        "wallet_part.html" if guest.reader.is_partial else "wallet.html",
        path=f"{PATH}/{asked_id}",
        asked_id=asked_id,
        state=found.state.value,
        waits=found.state in ASKED,
        holds=found.state is State.HOLDS,
        shown=told(found, "apply", guest.reader.say),
        asked=asked,
        picture=base64.b64encode(link_png(asked.link)).decode() if asked is not None else "",
        until=asked.ends_at.astimezone(BERLIN).strftime("%H:%M") if asked is not None else "",
        here_first=guest.reader.device is not Device.OTHER,
        response_code=code,
    )


@post(PATH + "/{asked_id:str}", status_code=303, sync_to_thread=True)
def use(request: AnyRequest, asked_id: FromPath[str], data: PageForm) -> Response[Any]:
    """Compare what was shown with the application, and keep that it agrees; if not, say in what."""
    guest = evidence_guest(acting_guest_of(request, data))
    counting = needed(guest).credentials
    try:
        with guest.application.writing() as session:
            guest.check(session)
            if store.find(session, guest.tenant, guest.case.id).state not in OPEN:
                raise NoDraft
            shown = asking.take(
                session,
                guest.application,
                _token(asked_id),
                _asker(guest),
                response_code=_token(line_of(data, "response_code")) or None,
            )
            person = store.applicant(session, guest.tenant, guest.case.id)
            credential = CREDENTIALS.get(shown.credential)
            if person is None or credential is None or credential not in counting:
                return _back(guest, "PROOF_OTHER")
            differences = proofs.differences(person, shown.values)
            if differences:
                return _back(guest, _TOLD[differences])
            key = proofs.shown_key(session, guest.tenant, person, shown.values)
            proof = ResidenceProof(credential, _issuer(shown), shown.at, key)
            try:
                steps.prove_residence(session, guest.tenant, guest.case.id, guest.actor(), proof)
            except IssuerRefusal as refusal:
                if refusal.code != "CASE_TWICE":
                    raise
                # What was shown is forgotten all the same.
                return _back(guest, "PROOF_TWICE")
    except IssuerRefusal as refusal:
        if refusal.code not in ("PRESENTATION_UNKNOWN", "PRESENTATION_NOTHING"):
            raise
        return _back(guest, "PROOF_GONE")
    return _back(guest, "PROVEN")


def _back(guest: Guest, what: str) -> Response[Any]:
    return guest.reader.go(Page.DOCUMENTS.path, told=what)


def _asker(guest: Guest) -> Asker:
    return Asker("case", guest.application.hash_secret(_ASKER, guest.visit.token))


def _token(text: str) -> str:
    """A code as we make them; empty for anything else."""
    return text if _TOKEN.fullmatch(text) else ""


def _outcome(guest: Guest, asked_id: str, code: str) -> Outcome | None:
    """How a question of this visit stands; None where there is none."""
    try:
        with guest.application.reading() as session:
            return asking.outcome(
                session, guest.application, _token(asked_id), _asker(guest), response_code=code or None
            )
    except IssuerRefusal as refusal:
        if refusal.code != "PRESENTATION_UNKNOWN":
            raise
    # What has ended is soon forgotten; the page that still asks hears that it has ended.
    return Outcome(State.ENDED, Wish.PROOF_OF_RESIDENCE) if guest.reader.is_partial else None


def _issuer(shown: Shown) -> str:
    """The issuer's name as it is kept: one line."""
    return " ".join(shown.issuer.split())[:_LONGEST_ISSUER]


HANDLERS: Final = [begin, show, use]
