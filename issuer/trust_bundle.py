"""The trust bundle of a city: what it says, and when the root has to sign it anew."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy.orm import Session

from issuer import keyring
from issuer.errors import IssuerRefusal
from issuer.files import write_atomically
from issuer.sequences import next_sequence
from issuer.settings import Settings
from issuer.workspace import Workspace
from keys import lifecycle
from keys.bundle import Bundle, BundleKey, BundleType, read_bundle, sign_bundle
from keys.errors import Refusal
from keys.lifecycle import KeyRecord, KeyState, Purpose
from keys.signed_list import ListFrame
from passes.model import DisplayMode

BUNDLE_FILE = "bundle.cwt"
BUNDLE_LIFE = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class SignedBundle:
    """A signed bundle and its root; ``root_missing``: it is the one signed before, the root was not here."""

    data: bytes
    root: ec.EllipticCurvePublicKey
    frame: ListFrame
    root_missing: bool = False

    def is_young(self, at: datetime) -> bool:
        """Whether there is no need to sign a new one yet: half its ttl is left."""
        now = int(at.timestamp())
        return self.frame.issued_at <= now <= self.frame.issued_at + self.frame.ttl // 2

    def may_still_be_used(self, at: datetime) -> bool:
        """Whether verifiers still accept it."""
        now = int(at.timestamp())
        return self.frame.issued_at <= now and not self.frame.is_expired(now)


def current_bundle(
    workspace: Workspace, session: Session, settings: Settings, at: datetime, out: Path
) -> SignedBundle:
    """The bundle signed last, as long as it says what is so and is young; else a new one.

    After the restore of a backup, the bundle signed last is older than the one in ``out``, and devices
    would refuse it as a roll-back: then it is signed anew. While the root is away, a bundle that says what
    is so is kept until it expires: the lists must not stop for it. Raises IssuerRefusal NO_SIGNING_KEY,
    ROOT_OFFLINE, KeyRefusal.
    """
    roots = [
        one
        for one in keyring.records(session, workspace.tenant, Purpose.ROOT)
        if one.state is KeyState.ACTIVE
    ]
    if not roots:
        raise IssuerRefusal("NO_SIGNING_KEY", purpose=Purpose.ROOT.value)
    roots.sort(key=lambda one: (one.activated_at or one.not_before, one.kid))
    newest, previous = roots[-1], roots[-2] if len(roots) > 1 else None
    wanted = _content(workspace, session, settings, newest)
    kept = _kept(workspace.folder / BUNDLE_FILE, _p256(newest), wanted) if previous is None else None
    published = _sequence(out / BUNDLE_FILE, _p256(newest))
    if kept is not None and kept.is_young(at) and kept.frame.sequence >= published:
        return kept
    frame = ListFrame(
        subject="bundle",
        sequence=next_sequence(session, workspace.tenant, "bundle", at),
        issued_at=int(at.timestamp()),
        ttl=int(settings.bundle_ttl.total_seconds()),
        expires=int((at + BUNDLE_LIFE).timestamp()),
    )
    try:
        return _signed(workspace, _framed(wanted, frame), newest, previous, at)
    except IssuerRefusal as refusal:
        if refusal.code == "ROOT_OFFLINE" and kept is not None and kept.may_still_be_used(at):
            return replace(kept, root_missing=True)
        raise


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
    return SignedBundle(data, _p256(newest), bundle.frame)


def _kept(stored: Path, root: ec.EllipticCurvePublicKey, wanted: Bundle) -> SignedBundle | None:
    """The bundle that was signed last, if it says what is so."""
    try:
        data = stored.read_bytes()
        kept, _ = read_bundle(data, root)
    except (OSError, Refusal):
        return None
    return SignedBundle(data, root, kept.frame) if _framed(wanted, kept.frame) == kept else None


def _sequence(published: Path, root: ec.EllipticCurvePublicKey) -> int:
    """The sequence of the bundle that was published last; -1 where there is none of this root."""
    try:
        return read_bundle(published.read_bytes(), root)[0].frame.sequence
    except (OSError, Refusal):
        return -1


def _content(workspace: Workspace, session: Session, settings: Settings, newest: KeyRecord) -> Bundle:
    codes = {one.id: one.seal_code for one in workspace.pass_types}
    keys: dict[bytes, BundleKey] = {}
    next_root = None
    for one in keyring.records(session, workspace.tenant):
        if one.purpose in (Purpose.SEAL, Purpose.LIST):
            keys[one.kid] = BundleKey(
                public_key=_p256(one),
                purpose=one.purpose.value,
                pass_types=frozenset(code for name, code in codes.items() if keyring.may_seal(one, name)),
                not_before=int(one.not_before.timestamp()),
                not_after=int(one.not_after.timestamp()),
                state=one.state.value,
                test=one.test,
            )
        elif one.purpose is Purpose.ROOT and one.state is KeyState.PENDING:
            next_root = one.spki
    roots = keyring.records(session, workspace.tenant, Purpose.ROOT)
    if sum(one.state is KeyState.ACTIVE for one in roots) > 1:
        next_root = newest.spki
    paper = settings.display_mode is DisplayMode.PAPER_REQUIRED
    return Bundle(
        frame=ListFrame("bundle", 0, 0, 0, 0),
        issuer=settings.city_name,
        keys=keys,
        types={
            one.seal_code: BundleType(one.id, one.spec.stands_in_car and paper)
            for one in workspace.pass_types
        },
        test=settings.test,
        next_root=next_root,
    )


def _framed(bundle: Bundle, frame: ListFrame) -> Bundle:
    return Bundle(frame, bundle.issuer, bundle.keys, bundle.types, bundle.test, bundle.next_root)


def _p256(record: KeyRecord) -> ec.EllipticCurvePublicKey:
    key = record.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise IssuerRefusal("KEY_NOT_P256", kid=record.kid.hex())
    return key
