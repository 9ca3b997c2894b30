"""The letter with a transaction code, for holders whose wallet shall not be opened by an offer alone."""

from __future__ import annotations

from datetime import date

from issuer import audit
from issuer.application import Application
from issuer.audit import AuditEvent
from issuer.eudi.offers import LETTER_LIFETIME, draw_letter_code, keep_letter_code
from issuer.letters import Wording, letter_document, rendered, to_post
from issuer.register import subject

_PAGE = "/p"


def transaction_code_letter(application: Application, type_id: str, number: str, *, actor: str) -> bytes:
    """The letter as PDF with a new code, which the next offer to the holder asks for; one of before holds no longer.

    The code is known to nobody but the paper. Raises IssuerRefusal LETTER_NO_ADDRESS where the register has none,
    PassRefusal PDF_LETTERS, TYPE_UNKNOWN.
    """
    there, holder, settings = to_post(application, type_id, number)
    code, now = draw_letter_code(), application.now()
    facts: list[tuple[str, str | date, bool]] = [
        ("LETTER_EUDI_PAGE", settings.base_url + _PAGE, False),
        ("LETTER_EUDI_CODE", f"{code[:4]} {code[4:]}", True),
    ]
    wording = Wording("EUDI", facts, "LETTER_EUDI_HOW", LETTER_LIFETIME.days)
    document = letter_document(application.pass_types[type_id], wording, there, holder, settings, now)
    made = rendered(document, number, now)
    with application.writing() as session:
        keep_letter_code(session, application, type_id, number, code)
        event = AuditEvent("eudi-letter", subject(type_id, number))
        audit.append(session, application.tenant, [event], now, actor)
    return made
