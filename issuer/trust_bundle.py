"""The trust bundle of a city: what it says, and when the root has to sign it anew."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy.orm import Session

from issuer import keyring
from issuer.errors import IssuerRefusal
from issuer.files import write_atomically
from issuer.settings import Settings
from issuer.workspace import Workspace
from keys import lifecycle
from keys.bundle import Bundle, BundleKey, BundleType, read_bundle, sign_bundle
from keys.errors import Refusal
from keys.lifecycle import KeyRecord, KeyState, Purpose
from keys.signed_list import ListFrame
from passes.model import DisplayMode
from passes.pass_types import PassTypes

BUNDLE_FILE = "bundle.cwt"
BUNDLE_LIFE = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class BundlePlan:
    """What the bundle has to say (its frame is empty), and the active root keys, ``newest`` first in charge."""

    content: Bundle
    newest: KeyRecord
    previous: KeyRecord | None
    ttl: timedelta


@dataclass(frozen=True, slots=True)
class SignedBundle:
    """A signed bundle and its root.

    ``root_missing``: it is one signed before, the root was not here; ``outdated``: what it says is no longer so.
    """

    data: bytes
    root: ec.EllipticCurvePublicKey
    content: Bundle
    root_missing: bool = False
    outdated: bool = False

    @property
    def frame(self) -> ListFrame:
        """Its sequence and times."""
        return self.content.frame

    @property
    def young_until(self) -> int:
        """Until when (seconds) there is no need to sign a new one: half its ttl is left."""
        return self.frame.issued_at + self.frame.ttl // 2

    def is_young(self, at: datetime) -> bool:
        """Whether there is no need to sign a new one yet."""
        return self.frame.issued_at <= int(at.timestamp()) <= self.young_until

    def may_still_be_used(self, at: datetime) -> bool:
        """Whether verifiers still accept it."""
        now = int(at.timestamp())
        return self.frame.issued_at <= now and not self.frame.is_expired(now)


def plan_bundle(session: Session, tenant: str, pass_types: PassTypes, settings: Settings) -> BundlePlan:
    """What the register says now that the bundle has to say. Raises IssuerRefusal NO_SIGNING_KEY, KEY_NOT_P256."""
    roots = [one for one in keyring.records(session, tenant, Purpose.ROOT) if one.state is KeyState.ACTIVE]
    if not roots:
        raise IssuerRefusal("NO_SIGNING_KEY", purpose=Purpose.ROOT.value)
    roots.sort(key=lambda one: (one.activated_at or one.not_before, one.kid))
    newest, previous = roots[-1], roots[-2] if len(roots) > 1 else None
    content = _content(session, tenant, pass_types, settings, newest)
    return BundlePlan(content, newest, previous, settings.bundle_ttl)


def current_bundle(
    workspace: Workspace,
    plan: BundlePlan,
    number: int,
    at: datetime,
    copies: Iterable[bytes],
    *,
    list_kid: bytes | None = None,
) -> SignedBundle:
    """The bundle signed last, as long as it says what is so and is young; else a new one with sequence ``number``.

    ``copies`` are bundles published before, wherever they lie; the data folder holds one too. After the restore of
    a backup, a published one may be newer than that in the data folder; devices would refuse an older one as a
    roll-back, so only the newest of all is kept. While the root is away, a bundle that says what is so is kept
    until it expires: the lists must not stop for it. With ``list_kid`` this holds for an outdated bundle too, if
    it lets that list key sign. Raises IssuerRefusal ROOT_OFFLINE, KeyRefusal, OSError.
    """
    with suppress(OSError):
        copies = [*copies, (workspace.folder / BUNDLE_FILE).read_bytes()]
    newest = _newest(copies, [p256(one) for one in (plan.newest, plan.previous) if one is not None])
    kept = newest if newest is not None and _framed(plan.content, newest.frame) == newest.content else None
    if kept is not None and kept.is_young(at):
        return kept
    frame = ListFrame(
        subject="bundle",
        sequence=number,
        issued_at=int(at.timestamp()),
        ttl=int(plan.ttl.total_seconds()),
        expires=int((at + BUNDLE_LIFE).timestamp()),
    )
    try:
        return _signed(workspace, _framed(plan.content, frame), plan.newest, plan.previous, at)
    except IssuerRefusal as refusal:
        if refusal.code != "ROOT_OFFLINE" or newest is None or not newest.may_still_be_used(at):
            raise
        if kept is not None or (list_kid is not None and _lets_sign(newest.content, list_kid)):
            return replace(newest, root_missing=True, outdated=kept is None)
        raise


def _lets_sign(bundle: Bundle, list_kid: bytes) -> bool:
    key = bundle.keys.get(list_kid)
    return key is not None and key.purpose == Purpose.LIST.value and key.state != KeyState.REVOKED.value


def _signed(
    workspace: Workspace, bundle: Bundle, newest: KeyRecord, previous: KeyRecord | None, at: datetime
) -> SignedBundle:
    with workspace.root_keys() as manager:
        endorsing = None
        if previous is not None:
            lifecycle.require_signing(previous, at)
            endorsing = manager.signer(previous.uri), previous.kid
        lifecycle.require_signing(newest, at)
        data = sign_bundle(manager.signer(newest.uri), newest.kid, bundle, previous_root=endorsing)
    write_atomically(workspace.folder / BUNDLE_FILE, data)
    return SignedBundle(data, p256(newest), bundle)


def _newest(copies: Iterable[bytes], roots: Sequence[ec.EllipticCurvePublicKey]) -> SignedBundle | None:
    """The newest of the signed bundles ``copies``, if all ``roots`` vouch for it."""
    found: list[SignedBundle] = []
    for data in copies:
        with suppress(Refusal):
            bundle, _ = read_bundle(data, roots[0])
            found.append(SignedBundle(data, roots[0], bundle))
    if not found:
        return None
    newest = max(found, key=lambda one: one.frame.sequence)
    try:
        for root in roots:
            read_bundle(newest.data, root)
    except Refusal:
        return None
    return newest


def _content(
    session: Session, tenant: str, pass_types: PassTypes, settings: Settings, newest: KeyRecord
) -> Bundle:
    codes = {one.id: one.seal_code for one in pass_types}
    keys: dict[bytes, BundleKey] = {}
    statement_keys: dict[bytes, BundleKey] = {}
    next_root = None
    for one in keyring.records(session, tenant):
        if one.purpose in (Purpose.SEAL, Purpose.LIST, Purpose.STATEMENT):
            place = statement_keys if one.purpose is Purpose.STATEMENT else keys
            place[one.kid] = BundleKey(
                public_key=p256(one),
                purpose=one.purpose.value,
                pass_types=frozenset(code for name, code in codes.items() if keyring.may_seal(one, name)),
                not_before=int(one.not_before.timestamp()),
                not_after=int(one.not_after.timestamp()),
                state=one.state.value,
                test=one.test,
            )
        elif one.purpose is Purpose.ROOT and one.state is KeyState.PENDING:
            next_root = one.spki
    roots = keyring.records(session, tenant, Purpose.ROOT)
    if sum(one.state is KeyState.ACTIVE for one in roots) > 1:
        next_root = newest.spki
    paper = settings.display_mode is DisplayMode.PAPER_REQUIRED
    return Bundle(
        frame=ListFrame("bundle", 0, 0, 0, 0),
        issuer=settings.city_name,
        keys=keys,
        types={
            one.seal_code: BundleType(
                one.id, one.spec.stands_in_car and paper, one.spec.stands_in_car and not paper
            )
            for one in pass_types
        },
        test=settings.test,
        next_root=next_root,
        statement_keys=statement_keys,
    )


def _framed(bundle: Bundle, frame: ListFrame) -> Bundle:
    return replace(bundle, frame=frame)


def p256(record: KeyRecord) -> ec.EllipticCurvePublicKey:
    """The public key of ``record``. Raises IssuerRefusal KEY_NOT_P256: verifiers know no other curve."""
    key = record.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise IssuerRefusal("KEY_NOT_P256", kid=record.kid.hex())
    return key
