"""What mails say. Plain text only: nothing to load, nothing hidden, and the one link is there to be read.

Neither name nor address of the holder stands in a mail, so nothing of theirs can become a header or a sentence. The
link works once: one to a pass for an hour, one to a case for as long as a draft is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any, Final
from urllib.parse import urlsplit

from issuer.delivery.smtp import RefusedError
from issuer.pickup.links import LIFETIME
from issuer.settings import Settings
from keys.texts import texts

NEW_LINK_PATH: Final = "/p/new"
APPLY_PATH: Final = "/apply"


@dataclass(frozen=True, slots=True)
class Frame:
    """What all mails of a city share; ``identity`` names this mail, so that servers see a repetition."""

    settings: Settings
    sender: str
    identity: str
    at: datetime


def holder_mail(
    frame: Frame, kind: str, recipient: str, language: str, link: str, facts: Mapping[str, Any]
) -> EmailMessage:
    """A mail of ``kind`` (one of `mail.KINDS`) to a holder; ``facts``: name, number and last of the pass.

    Raises RefusedError for an address that is none.
    """
    say, settings = texts("issuer", language), frame.settings
    known = {**facts, "city": settings.city_name, "link": link}
    code = f"MAIL_{kind.upper()}"
    blocks = [
        say("MAIL_TEST") if settings.test else "",
        say(f"{code}_TEXT", **known),
        say("MAIL_LINK", minutes=int(LIFETIME.total_seconds()) // 60, page=settings.base_url + NEW_LINK_PATH),
        say("MAIL_END", contact=settings.contact or settings.city_name),
    ]
    return _message(frame, recipient, say.language, say(f"{code}_SUBJECT", **known), blocks)


@dataclass(frozen=True, slots=True)
class WayBack:
    """The link of a mail about a case, and how long it works; an empty link leads to the page where one applies."""

    link: str = field(repr=False)
    lifetime: timedelta


def case_mail(
    frame: Frame, kind: str, recipient: str, language: str, way: WayBack, facts: Mapping[str, Any]
) -> EmailMessage:
    """A mail of ``kind`` (a `issuer.cases.mails.CaseMail`) to who asks; ``facts``: number, amount, deadline.

    Raises RefusedError for an address that is none.
    """
    say, settings = texts("issuer", language), frame.settings
    known = {**facts, "city": settings.city_name}
    code, apply = f"MAIL_{kind.upper()}", settings.base_url + APPLY_PATH
    days = way.lifetime.days
    closing = say(
        "MAIL_CASE_GO_ON" if days else "MAIL_CASE_GO_ON_SOON", link=way.link, days=days, page=f"{apply}/new"
    )
    blocks = [
        say("MAIL_CASE_TEST") if settings.test else "",
        say(f"{code}_TEXT", **known),
        closing if way.link else say("MAIL_CASE_AGAIN", page=apply),
        say("MAIL_END", contact=settings.contact or settings.city_name),
    ]
    return _message(frame, recipient, say.language, say(f"{code}_SUBJECT", **known), blocks)


def operator_mail(frame: Frame, recipient: str, sentences: Sequence[str]) -> EmailMessage:
    """A mail to the operator with ``sentences`` of warning. Raises RefusedError for an address that is none."""
    say, city = texts("issuer", "de"), frame.settings.city_name
    body = say("MAIL_OPERATOR_TEXT", warnings="\n\n".join(f"- {one}" for one in sentences))
    return _message(frame, recipient, "de", say("MAIL_OPERATOR_SUBJECT", city=city), [body])


def _message(
    frame: Frame, recipient: str, language: str, subject: str, blocks: Sequence[str]
) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    try:
        message["To"] = Address(addr_spec=recipient)
    except (ValueError, IndexError, MessageError):
        raise RefusedError("address") from None
    test = "[TEST] " if frame.settings.test else ""
    domain = urlsplit(frame.settings.base_url).hostname or "localhost"
    message["From"] = Address(frame.settings.city_name, addr_spec=frame.sender)
    message["Subject"] = test + subject
    message["Date"] = frame.at
    message["Message-ID"] = f"<{frame.identity}@{domain}>"
    # RFC 3834: nobody's out-of-office note shall answer.
    message["Auto-Submitted"] = "auto-generated"
    text = "\n\n".join(block.strip() for block in blocks if block) + "\n"
    message.set_content(text, cte="quoted-printable")
    # Setting the content removes what stood there before about it.
    message["Content-Language"] = language
    return message
