"""Keeping Google's objects as the register has them.

Google has an object only of passes that somebody wanted there (`WalletPassRow.google_wanted`). A pass that holds is
patched, so that messages on it stay. One that does not hold is replaced as a whole: what it no longer has to show
(the key of a rotating code, reminders, for a forgotten holder everything) must be gone, and a patch removes nothing.
Bodies are always made from the register, never from what Google answers, and generic classes have no review status
in the discovery document, so no update can trip over one.

Two workers may send the same object at the same time. Whose request Google has worked off last nobody can tell, so
whoever finds that another has noted a result meanwhile sends the newest state once more (`google_tag`: the update tag
that was read before the body was made; 0 for never or unknown).
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

import msgspec
from sqlalchemy import ColumnElement, Engine, String, and_, cast, func, literal, or_, select, update
from sqlalchemy.orm import Session

from issuer import keyring, wallet_passes
from issuer.background.tasks import Json, Queue, RetryLater, Task
from issuer.delivery import google_messages
from issuer.delivery.google_client import AlreadyThereError, GoogleClient, NotThereError, RefusedError
from issuer.delivery.google_token import load_account
from issuer.models_delivery import WalletPassRow
from issuer.outgoing import GOOGLE_TASK
from issuer.status_allocation import chunks
from keys.errors import Refusal
from passes.google import GooglePassFactory
from passes.model import PassContent, PassStatus
from passes.rotating import pass_key

if TYPE_CHECKING:
    from issuer.application import Application

OBJECTS: Final = "genericObject"
CLASSES: Final = "genericClass"
_AT_ONCE: Final = 6
_CHUNK: Final = 500
_ROUNDS: Final = 5
# Of these, a patch leaves behind what the pass no longer has.
_REMOVABLE: Final = ("barcode", "rotatingBarcode", "passConstraints", "notifications", "logo")
_log = logging.getLogger("stadtpass.google")
# The digest of each class that this process has put to Google.
_classes: WeakKeyDictionary[Engine, dict[str, bytes]] = WeakKeyDictionary()
_classes_lock = threading.Lock()


def run(application: Application, payload: Json) -> None:
    """Bring the objects of the passes in ``payload["serials"]`` to their newest state.

    Each is noted by itself, so whoever runs this again has only the rest to do. Raises RetryLater once all that
    were under way have ended; what Google refuses for good is noted at the pass and not tried again unchanged.
    """
    if not application.config.google.enabled:
        return
    with application.reading() as session:
        account = load_account(application, session)
        due = _due(session, application.tenant, payload["serials"])
    if not due:
        return
    if account is None:
        _log.error("google objects wait for an account: GOOGLE_ACCOUNT", extra={"objects": len(due)})
        return
    postponed: list[RetryLater] = []
    stop = threading.Event()
    with GoogleClient(application, account, expected=len(due)) as client:

        def one(serial: str) -> None:
            if stop.is_set():
                return
            try:
                synchronise(application, client, serial)
            except RetryLater as later:
                postponed.append(later)
                stop.set()
            except BaseException:
                stop.set()
                raise

        with ThreadPoolExecutor(max_workers=min(_AT_ONCE, len(due)), thread_name_prefix="google") as pool:
            # Asking for every result raises what went wrong in any of them.
            list(pool.map(one, due))
    if postponed:
        raise max(postponed, key=lambda later: later.seconds or 0.0)


TASKS: tuple[Task, ...] = (
    Task(GOOGLE_TASK, Queue.GOOGLE, run),
    Task(google_messages.TASK, Queue.GOOGLE, google_messages.run),
)


def outstanding(session: Session, tenant: str) -> Sequence[str]:
    """The serials of passes of which Google has an older state, without those it has refused as they are."""
    return session.scalars(select(WalletPassRow.serial).where(_outstanding(tenant))).all()


def counts(session: Session, tenant: str) -> dict[str, int]:
    """For metrics: how many objects are wanted, outstanding, and refused by Google as they are."""
    wanted = and_(WalletPassRow.tenant == tenant, WalletPassRow.google_wanted.is_(True))
    conditions = {
        "wanted": wanted,
        "outstanding": _outstanding(tenant),
        "refused": and_(wanted, _is_behind(), WalletPassRow.google_failure.like(_failing_now())),
    }
    return {
        name: session.execute(select(func.count()).select_from(WalletPassRow).where(condition)).scalar_one()
        for name, condition in conditions.items()
    }


def synchronise(application: Application, client: GoogleClient, serial: str, *, again: bool = False) -> None:
    """Bring one object to its newest state; with ``again`` also one that Google has refused as it is.

    Raises RetryLater. A refusal for good is noted at the pass (``google_failure``) and raises nothing.
    """
    contended = False
    for _ in range(_ROUNDS):
        wanted = _read(application, serial, again=again, anyway=contended)
        if wanted is None:
            return
        failure = wanted.failure
        if failure is None:
            try:
                _send(application, client, wanted)
            except RefusedError as refused:
                failure = refused.code
        if failure is not None:
            _log.error("google object refused", extra={"code": failure})
        if _note(application, wanted, failure):
            return
        contended = True
    raise RetryLater("google-contended")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What an object ought to be: ``seen`` and ``tag`` are google_tag and update_tag as they were read."""

    serial: str
    seen: int
    tag: int
    body: Json
    whole: bool
    factory: GooglePassFactory | None
    failure: str | None = None
    # The city has switched Google off: emptied, the object is not ours to keep up any more.
    last: bool = False


def _read(application: Application, serial: str, *, again: bool, anyway: bool) -> _Wanted | None:
    """What is to be sent; None if nothing is."""
    with application.reading() as session:
        row = session.get(WalletPassRow, (application.tenant, serial))
        if row is None or not row.google_wanted:
            return None
        if row.google_tag >= row.update_tag and not anyway:
            return None
        if row.google_failure is not None and row.google_failure.endswith(f"@{row.update_tag}") and not again:
            return None
        off = not application.settings(session).google_offered
        read = _Wanted(serial, row.google_tag, row.update_tag, {}, whole=False, factory=None, last=off)
        try:
            factory = application.google_factory(session, row.type_id)
            body, whole = _body(application, session, row, factory)
        except Refusal as refusal:
            return replace(read, failure=refusal.code)
        return replace(read, body=body, whole=whole, factory=factory)


def _body(
    application: Application, session: Session, row: WalletPassRow, factory: GooglePassFactory
) -> tuple[Json, bool]:
    """The object, and whether it replaces what Google has as a whole."""
    content = _content(application, session, row)
    if content is None:
        return factory.emptied(row.serial), True
    if content.status is not PassStatus.ACTIVE:
        return factory.google_object(content), True
    return factory.google_object(content, _rotating_key(application, session, content.number)), False


def _content(application: Application, session: Session, row: WalletPassRow) -> PassContent | None:
    """The pass as this serial has it now; None if its holder wants no wallet, the city wants no Google any more, or
    the register has forgotten it.
    """
    if not application.settings(session).google_offered:
        return None
    found = wallet_passes.find(application, session, row.serial)
    if found is None or found.withdrawn:
        return None
    content = found.content
    if content.status is PassStatus.ACTIVE and content.period.ends_at <= application.now():
        return replace(content, status=PassStatus.EXPIRED)
    return content


def _rotating_key(application: Application, session: Session, number: str) -> bytes | None:
    if not application.settings(session).google_rotating_barcode:
        return None
    epochs = keyring.epoch_keys(session, application.tenant, application.keys)
    return pass_key(epochs[max(epochs)], number) if epochs else None


def _send(application: Application, client: GoogleClient, wanted: _Wanted) -> None:
    assert wanted.factory is not None
    if wanted.whole:
        try:
            client.replace(OBJECTS, wanted.body)
        except NotThereError:
            # Nobody has it, and nobody needs to get it.
            return
        return
    _put_class(application, client, wanted.factory)
    known = wanted.seen > 0
    for _ in range(_ROUNDS):
        try:
            if not known:
                client.insert(OBJECTS, wanted.body)
                return
            answer = client.patch(OBJECTS, wanted.body)
            if any(name in answer and name not in wanted.body for name in _REMOVABLE):
                client.replace(OBJECTS, wanted.body)
            return
        except AlreadyThereError:
            known = True
        except NotThereError:
            if not known:
                _put_class(application, client, wanted.factory, again=True)
            known = False
    raise RetryLater("google-unsettled")


def _put_class(
    application: Application, client: GoogleClient, factory: GooglePassFactory, *, again: bool = False
) -> None:
    """Have Google know the class as it is now; once per process and state, since Google keeps it."""
    body: dict[str, Any] = factory.google_class()
    digest = hashlib.sha256(msgspec.json.encode(body)).digest()
    with _classes_lock:
        put = _classes.setdefault(application.engine, {})
        if put.get(factory.class_id) == digest and not again:
            return
        try:
            client.insert(CLASSES, body)
        except AlreadyThereError:
            try:
                client.patch(CLASSES, body)
            except NotThereError as fault:
                raise RetryLater("google-unsettled") from fault
        except NotThereError as fault:
            raise RetryLater("google-unsettled") from fault
        put[factory.class_id] = digest


def _note(application: Application, wanted: _Wanted, failure: str | None) -> bool:
    """Note the outcome; False if somebody else has noted one since ``wanted`` was read, so that it is unclear."""
    mine = and_(
        WalletPassRow.tenant == application.tenant,
        WalletPassRow.serial == wanted.serial,
    )
    values: dict[str, Any] = {"google_failure": None, "google_tag": wanted.tag}
    if wanted.last:
        # What comes back when the city changes its mind is made anew, at whatever tag.
        values = {"google_failure": None, "google_tag": 0, "google_wanted": False, "google_state": "removed"}
    if failure is not None:
        values = {"google_failure": f"{failure}@{wanted.tag}"}
    with application.writing() as session:
        noted = session.execute(
            update(WalletPassRow).where(mine, WalletPassRow.google_tag == wanted.seen).values(**values)
        )
        if _rows(noted) == 1:
            return True
        session.execute(update(WalletPassRow).where(mine).values(google_tag=0))
    return False


def _rows(result: Any) -> int:
    return int(result.rowcount)


def _due(session: Session, tenant: str, serials: Sequence[str]) -> list[str]:
    found: list[str] = []
    for chunk in chunks(sorted(set(serials)), _CHUNK):
        found.extend(
            session.scalars(
                select(WalletPassRow.serial).where(_outstanding(tenant), WalletPassRow.serial.in_(chunk))
            )
        )
    return found


def _outstanding(tenant: str) -> ColumnElement[bool]:
    return and_(
        WalletPassRow.tenant == tenant,
        WalletPassRow.google_wanted.is_(True),
        _is_behind(),
        or_(WalletPassRow.google_failure.is_(None), WalletPassRow.google_failure.not_like(_failing_now())),
    )


def _is_behind() -> ColumnElement[bool]:
    return WalletPassRow.google_tag < WalletPassRow.update_tag


def _failing_now() -> ColumnElement[str]:
    """``google_failure`` of a pass that has not changed since: the code, @ and the update tag."""
    return literal("%@").concat(cast(WalletPassRow.update_tag, String))
