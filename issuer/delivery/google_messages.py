"""Messages on passes in Google Wallet that make the phone ring: reminders, and that something has changed.

Google takes three such messages per pass in 24 hours and may count differently than we do, so a fourth waits. A
message is sent once: its id is stored before it goes out, and where an earlier attempt may have arrived, Google is
asked first, since it does not check ids itself.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer.background.tasks import Json, RetryLater
from issuer.delivery.google_client import GoogleClient, NotThereError, RefusedError
from issuer.delivery.google_token import Account, load_account
from issuer.models_delivery import GoogleMessageRow, WalletPassRow
from keys.texts import texts

if TYPE_CHECKING:
    from issuer.application import Application

TASK: Final = "google-message"
IN_A_DAY: Final = 3
_DAY: Final = timedelta(hours=24)
_FIRST_THE_OBJECT_SECONDS: Final = 30.0


class MessageKind(StrEnum):
    """What a message is about; its texts are GOOGLE_MESSAGE_<KIND>_HEADER and _BODY of the catalogues."""

    REMINDER = "reminder"
    CHANGED = "changed"


def queue_message(
    session: Session,
    application: Application,
    serial: str,
    kind: MessageKind,
    message_id: str,
    **params: str | int,
) -> bool:
    """Queue a message for the pass with ``serial`` in the caller's writing transaction.

    ``message_id`` (at most 64 characters) names the occasion: the same one is sent once, however often it is
    queued. ``params`` fill the sentences and must hold nothing personal. False if Google does not have the pass.
    """
    row = session.get(WalletPassRow, (application.tenant, serial))
    if row is None or not row.google_wanted or row.withdrawn_at is not None:
        return False
    payload = {"serial": serial, "kind": kind.value, "message_id": message_id[:64], "params": params}
    application.enqueue(session, TASK, payload)
    return True


def run(application: Application, payload: Json) -> None:
    """Send the message in ``payload``, unless it was sent. Raises RetryLater."""
    if not application.config.google.enabled:
        return
    serial, message_id = payload["serial"], payload["message_id"]
    with application.reading() as session:
        account = load_account(application, session)
        row = session.get(WalletPassRow, (application.tenant, serial))
        is_off = not application.settings(session).google_offered
    if is_off or account is None or row is None or not row.google_wanted or row.withdrawn_at is not None:
        return
    if row.google_tag == 0:
        raise RetryLater("google-object-first", _FIRST_THE_OBJECT_SECONDS)
    object_id = f"{account.city.google_issuer_id}.{serial}"
    attempted = _take_place(application, serial, message_id)
    with GoogleClient(application, account) as client:
        try:
            if attempted and message_id in _messages_at_google(client, object_id):
                return
            client.add_message(object_id, _message(payload, account))
        except (NotThereError, RefusedError):
            # Without the object there is nobody to ring; what Google refuses once it refuses again.
            return


def _take_place(application: Application, serial: str, message_id: str) -> bool:
    """Note that the message goes out now; says whether it did so before. Raises RetryLater if the day is full."""
    now, tenant = application.now(), application.tenant
    with application.writing() as session:
        others = session.scalars(
            select(GoogleMessageRow.sent_at)
            .where(
                GoogleMessageRow.tenant == tenant,
                GoogleMessageRow.serial == serial,
                GoogleMessageRow.message_id != message_id,
                GoogleMessageRow.sent_at > now - _DAY,
            )
            .order_by(GoogleMessageRow.sent_at.desc())
        ).all()
        if len(others) >= IN_A_DAY:
            free_at = others[IN_A_DAY - 1] + _DAY
            raise RetryLater("google-message-budget", max(1.0, (free_at - now).total_seconds()))
        row = session.get(GoogleMessageRow, (tenant, serial, message_id))
        if row is not None:
            row.sent_at = now
            return True
        session.add(GoogleMessageRow(tenant=tenant, serial=serial, message_id=message_id, sent_at=now))
        return False


def _messages_at_google(client: GoogleClient, object_id: str) -> set[str]:
    messages = client.get("genericObject", object_id).get("messages")
    listed = messages if isinstance(messages, list) else []
    return {str(one.get("id")) for one in listed if isinstance(one, dict)}


def _message(payload: Json, account: Account) -> dict[str, Any]:
    code = f"GOOGLE_MESSAGE_{MessageKind(payload['kind']).name}"
    params = {"city": account.city.name, **payload["params"]}
    made: dict[str, Any] = {"id": payload["message_id"], "messageType": "TEXT_AND_NOTIFY"}
    for part in ("Header", "Body"):
        german, english = (
            texts("issuer", language)(f"{code}_{part.upper()}", **params) for language in ("de", "en")
        )
        made[part.lower()] = german
        made[f"localized{part}"] = {
            "defaultValue": {"language": "de", "value": german},
            "translatedValues": [{"language": "en", "value": english}],
        }
    return made
