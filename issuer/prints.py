"""The print of passes as people get it: set, and certificates with the city's electronic seal (PAdES).

Every way out goes through here: holders' pages, desks, API, print runs; files of the command line take `Sealing` into
their own processes. A city without a key for seals hands out certificates that say they have none; with a key in use
that cannot sign, none leaves (docs/decisions/019-sealed-pdfs.md).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from sqlalchemy.orm import Session

from issuer import certified_keys, keyring
from issuer.configuration import Config
from issuer.settings import Settings
from keys.lifecycle import Purpose
from keys.pdf_seal_certificates import PdfSealIdentity
from keys.store import KeyManager
from passes.model import City, PassContent
from passes.pass_types import PassType
from passes.pdf import PdfFactory
from passes.pdf_certificate import HowToCheck

if TYPE_CHECKING:
    from issuer.application import Application

# One document at a time: typst's compiler belongs to no thread. Setting one takes some hundredths of a second.
_setting: Final = threading.Lock()
_factory: Final[list[PdfFactory]] = []


@dataclass(frozen=True, slots=True)
class Sealing:
    """How certificates leave at the time ``at`` (aware): where they are checked, and who seals them, if anybody."""

    app: str
    identity: PdfSealIdentity | None
    at: datetime

    @property
    def check(self) -> HowToCheck:
        """What the sheets say of it."""
        return HowToCheck(self.app, self.identity is not None)

    def sealed(self, pdf: bytes, reason: str, city: str) -> bytes:
        """``pdf`` with the seal that says ``reason`` and ``city``; as it is where nobody seals.

        Raises KeyRefusal where the key store does not answer.
        """
        if self.identity is None:
            return pdf
        # pyHanko takes longer to load than all the rest of a command: only where something is sealed.
        from passes.signed_pdf import PdfSeal, sealed_pdf  # noqa: PLC0415

        one = self.identity
        return sealed_pdf(pdf, PdfSeal(one.certificate, one.intermediates, one.signer, reason, city), self.at)


def sealing_at(
    session: Session, tenant: str, manager: KeyManager, config: Config, settings: Settings, at: datetime
) -> Sealing:
    """How certificates leave at ``at``: sealed if there is an active key for it, else without a seal.

    Raises KeyRefusal for an active key that may not sign at ``at``, or whose certificates do not count then.
    """
    app = (config.devices.url or settings.base_url).rstrip("/") + "/check/"
    if not keyring.has_signing_key(session, tenant, Purpose.PDF_SEAL):
        return Sealing(app, None, at)
    record = keyring.signing_record(session, tenant, Purpose.PDF_SEAL, at)
    identity = certified_keys.pdf_seal_identity(record, manager)
    identity.check(at)
    return Sealing(app, identity, at)


def sealing_now(application: Application) -> Sealing:
    """How certificates leave the service now. Raises as `sealing_at`."""
    with application.reading() as session:
        settings, at = application.settings(session), application.now()
        return sealing_at(session, application.tenant, application.keys, application.config, settings, at)


def print_of(
    application: Application, pass_type: PassType, contents: Sequence[PassContent], city: City, language: str
) -> bytes:
    """The print of one or more passes of ``pass_type`` as one PDF, with the electronic seal if it is a certificate.

    Raises PassRefusal as `passes.pdf.PdfFactory.render_several`, and as `sealing_at`.
    """
    if not pass_type.pdf.is_sealed:
        return set_print(pass_type, contents, city, language)
    sealing = sealing_now(application)
    data = set_print(pass_type, contents, city, language, sealing)
    return sealing.sealed(data, pass_type.words(language).name, city.name)


def set_print(
    pass_type: PassType,
    contents: Sequence[PassContent],
    city: City,
    language: str,
    sealing: Sealing | None = None,
) -> bytes:
    """As `print_of`, but the seal of ``sealing``, which the sheets speak of, is yet to come."""
    with _setting:
        if not _factory:
            _factory.append(PdfFactory())
        check = sealing.check if sealing is not None else None
        return _factory[0].render_several(pass_type, contents, city, language, check)
