"""What has become of a question to a wallet, put into the register as the protocol's part would: for tests of pages.

The way from a wallet to there has tests of its own, with a wallet that speaks the protocol.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import select

from issuer.application import Application
from issuer.models_presentations import PresentationRow
from issuer.presentations import asking, store
from issuer.presentations.store import Shown, State
from issuer.presentations.wishes import Credential
from verifier.credentials.outcome import StatusVerdict

CODE = "r" * 22
ERIKA = {
    "family_name": "Mustermann",
    "given_names": "Erika Maria",
    "birth_date": "1964-08-12",
    "main_street": "Heidestraße",
    "main_house_number": "17",
    "main_postal_code": "40474",
    "main_city": "Düsseldorf",
}


def asked(application: Application) -> PresentationRow:
    """The question that waits for its answer, or else the last one."""
    with application.reading() as session:
        order = (PresentationRow.seed.is_(None), PresentationRow.created_at.desc())
        found = session.scalars(select(PresentationRow).order_by(*order)).first()
        assert found is not None
        return found


def shows(
    application: Application,
    credential: Credential,
    values: dict[str, str],
    *,
    same_device: bool = False,
    status: StatusVerdict = StatusVerdict.VALID,
    issuer: str = "Stadt Beispiel TEST",
) -> None:
    """A wallet answers the newest question with a credential that holds."""
    now = application.now()
    shown = Shown(
        credential=credential,
        format="dc+sd-jwt",
        values=values,
        issuer=issuer,
        status=status,
        until=now + timedelta(days=30),
        at=now,
    )
    identity = asked(application).id
    _becomes(
        application, State.HOLDS, same_device=same_device, answer=store.sealed(application, identity, shown)
    )


def refuses(application: Application, code: str, fault: str = "", *, same_device: bool = False) -> None:
    """The newest question has an answer that is refused."""
    _becomes(application, State.REFUSED, same_device=same_device, code=code, fault=fault)


def opens(application: Application) -> None:
    """A wallet reads the newest question."""
    _set(application, state=State.OPENED)


def _becomes(application: Application, state: State, *, same_device: bool, **values: Any) -> None:
    code = asking.response_hash(application, CODE) if same_device else None
    _set(
        application,
        state=state,
        seed=None,
        response_hash=code,
        answered_at=application.now(),
        **values,
    )


def _set(application: Application, **values: Any) -> None:
    identity = asked(application).id
    with application.writing() as session:
        row = session.get_one(PresentationRow, (application.tenant, identity))
        for name, value in values.items():
            setattr(row, name, value)
