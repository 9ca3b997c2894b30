"""The trust bundle of a city: what it says, and when the root has to sign it anew."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
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

    After the restore of a backup, the bundle in ``out`` may be newer than the one in the data folder; devices
    would refuse an older one as a roll-back, so only the newest of both is kept. While the root is away, a
    bundle that says what is so is kept until it expires: the lists must not stop for it. Raises IssuerRefusal
    NO_SIGNING_KEY, ROOT_OFFLINE, KeyRefusal.
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
    roots_needed = [_p256(one) for one in (newest, previous) if one is not None]
    kept = _kept((workspace.folder / BUNDLE_FILE, out / BUNDLE_FILE), roots_needed, wanted)
    if kept is not None and kept.is_young(at):
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


def _kept(
    files: Iterable[Path], roots: Sequence[ec.EllipticCurvePublicKey], wanted: Bundle
) -> SignedBundle | None:
    """The newest of the signed bundles in ``files``, if it says what is so and all ``roots`` vouch for it."""
    found: list[tuple[SignedBundle, Bundle]] = []
    for file in files:
        with suppress(OSError, Refusal):
            data = file.read_bytes()
            bundle, _ = read_bundle(data, roots[0])
            found.append((SignedBundle(data, roots[0], bundle.frame), bundle))
    if not found:
        return None
    newest, bundle = max(found, key=lambda one: one[0].frame.sequence)
    try:
        for root in roots:
            read_bundle(newest.data, root)
    except Refusal:
        return None
    return newest if _framed(wanted, newest.frame) == bundle else None


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
            one.seal_code: BundleType(
                one.id, one.spec.stands_in_car and paper, one.spec.stands_in_car and not paper
            )
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
