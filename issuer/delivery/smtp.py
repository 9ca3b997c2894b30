"""Handing a mail to the city's SMTP server, or writing it into a folder where there is none.

Encryption is verified as a browser does it: a certificate of an authority that the system trusts, for the host that
the configuration names. The texts of a server's answers are dropped, because they repeat the recipient's address;
only codes go on.
"""

from __future__ import annotations

import re
import smtplib
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from functools import partial
from pathlib import Path

from issuer.configuration import MailConfig
from issuer.files import write_atomically
from keys.errors import Refusal
from keys.private_files import read_private

Send = Callable[[EmailMessage, str, str], None]
_LONGEST_PASSWORD_FILE = 4096
# RFC 3463, 3.8: about policy and credentials, so about us and not about the recipient.
_POLICY = re.compile(rb"\s*5\.7\.")
_CREDENTIALS = frozenset({530, 534, 535, 538})


class NotNowError(Exception):
    """The mail was not taken, but will be another time; ``reason`` is a short code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RefusedError(Exception):
    """The server will never take this mail; ``reason`` is a short code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@contextmanager
def opened(config: MailConfig, folder: Path) -> Iterator[Send]:
    """What sends (message, envelope recipient, file name): over one connection, or into a folder in ``folder``.

    Sending raises NotNowError and RefusedError; opening raises NotNowError.
    """
    if not config.host:
        yield partial(_write, folder / config.folder)
        return
    try:
        client = _connected(config, folder)
    except smtplib.SMTPResponseException as fault:
        raise NotNowError(f"smtp-{fault.smtp_code}") from None
    except ssl.SSLError:
        raise NotNowError("smtp-tls") from None
    except (smtplib.SMTPException, OSError, Refusal) as fault:
        raise NotNowError(f"smtp-{type(fault).__name__}") from None
    try:
        yield partial(_send, client, config.sender)
    finally:
        # What happens from here on changes nothing about the mail that the server has taken.
        with suppress(smtplib.SMTPException, OSError):
            client.quit()
        client.close()


def _connected(config: MailConfig, folder: Path) -> smtplib.SMTP:
    context = ssl.create_default_context()
    client: smtplib.SMTP
    if config.security == "tls":
        client = smtplib.SMTP_SSL(config.host, config.port, timeout=config.timeout_seconds, context=context)
    else:
        client = smtplib.SMTP(config.host, config.port, timeout=config.timeout_seconds)
    try:
        if config.security == "starttls":
            client.starttls(context=context)
        if config.user:
            client.login(config.user, _password(config, folder))
    except BaseException:
        client.close()
        raise
    return client


def _password(config: MailConfig, folder: Path) -> str:
    content = read_private(folder / config.password_file, _LONGEST_PASSWORD_FILE)
    return content.decode().partition("\n")[0].rstrip("\r")


def _send(client: smtplib.SMTP, sender: str, message: EmailMessage, recipient: str, _name: str) -> None:
    try:
        client.sendmail(sender, [recipient], message.as_bytes())
    except smtplib.SMTPRecipientsRefused as fault:
        code, answer = fault.recipients.get(recipient, (450, b""))
        raise _judged(code, answer) from None
    except smtplib.SMTPSenderRefused as fault:
        # The sender is the same in every mail: that is the configuration's fault, not the holder's.
        raise NotNowError(f"smtp-sender-{fault.smtp_code}") from None
    except smtplib.SMTPResponseException as fault:
        raise _judged(fault.smtp_code, fault.smtp_error) from None
    except (smtplib.SMTPException, OSError) as fault:
        raise NotNowError(f"smtp-{type(fault).__name__}") from None


def _judged(code: int, answer: bytes | str) -> NotNowError | RefusedError:
    text = answer.encode(errors="replace") if isinstance(answer, str) else answer
    about_us = code in _CREDENTIALS or _POLICY.match(text) is not None
    if code < 500 or about_us:
        return NotNowError(f"smtp-{code}")
    return RefusedError(f"smtp-{code}")


def _write(folder: Path, message: EmailMessage, _recipient: str, name: str) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(folder / f"{name}.eml", message.as_bytes(), mode=0o600)
    except OSError as fault:
        raise NotNowError(f"folder-{type(fault).__name__}") from None
