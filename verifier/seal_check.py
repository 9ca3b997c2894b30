"""From the text of a code to a verdict. Never raises for anything the text can hold.

The reasons are tried in the order of `Reason`: the first that applies wins.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from cryptography.exceptions import InvalidSignature

from keys.bundle import BundleType
from passes import rotating, seal
from passes.periods import BERLIN
from passes.seal import MalformedSeal, NotASeal, ReadSeal, SealContent
from passes.status_list import Status
from verifier.common import STATUS_REASONS, clock_params, holds_in
from verifier.trust import Trust
from verifier.verdict import Colour, Freshness, Reason, Verdict


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """What the person checking has chosen. ``tolerance`` is how far a clock may be behind, in seconds.

    ``merged`` are the codes of zones that were merged into ``zone``: their permits run on in it.
    """

    zone: str | None = None
    merged: tuple[str, ...] = ()
    type_id: str | None = None
    tolerance: int = 120


def check_seal(text: str, trust: Trust, at: datetime, settings: CheckSettings | None = None) -> Verdict:
    """The verdict on the text of one code at the aware time ``at``."""
    chosen = settings or CheckSettings()
    code = None
    try:
        if text.startswith(rotating.PREFIX):
            code = rotating.split(text)
            read = seal.read_token(code.token)
        else:
            read = seal.read_seal(text)
    except NotASeal:
        return Verdict(Reason.NOT_A_SEAL, at, test=trust.test)
    except MalformedSeal:
        return Verdict(Reason.MALFORMED, at, test=trust.test)
    found = _Found(Freshness.NONE if code is None else Freshness.NOT_CHECKED)
    reason = _reason(read, code, trust, at, chosen, found=found)
    content = read.content if found.genuine else None
    listed_at = found.list_issued_at
    return Verdict(
        reason,
        at,
        colour=found.colour,
        test=trust.test,
        type_id=None if content is None or found.declared is None else found.declared.id,
        number=None if content is None else content.number,
        plates=None if content is None else tuple([plate.canonical for plate in content.plates]),
        zone=None if content is None else content.zone,
        card_number=None if content is None else content.card_number,
        organisation=None if content is None else content.organisation,
        person=None if content is None else content.person,
        valid_from=None if content is None else _berlin_day(content.not_before),
        valid_until=None if content is None else _berlin_day(content.expires - 1),
        list_issued_at=None if listed_at is None else datetime.fromtimestamp(listed_at, UTC),
        freshness=found.freshness,
        paper_required=_paper_required(found.declared, read.content),
        params=found.params,
    )


@dataclass(slots=True)
class _Found:
    """What the check has found besides the reason. ``genuine``: the signature holds."""

    freshness: Freshness
    genuine: bool = False
    declared: BundleType | None = None
    list_issued_at: int | None = None
    colour: Colour | None = None
    params: dict[str, object] = field(default_factory=dict)


def _reason(
    read: ReadSeal,
    code: rotating.RotatingCode | None,
    trust: Trust,
    at: datetime,
    chosen: CheckSettings,
    *,
    found: _Found,
) -> Reason:
    now = int(at.timestamp())
    content = read.content
    bundle = trust.bundle
    if bundle is None or bundle.frame.is_expired(now):
        return Reason.NO_TRUST
    key = trust.key(read.message.kid)
    bundle_stale = bundle.frame.is_stale(now)
    if key is None or not key.not_before <= content.issued_at < key.not_after:
        found.colour = Colour.GREY if bundle_stale else None
        return Reason.UNKNOWN_KEY
    with suppress(InvalidSignature):
        read.message.verify(key.public_key)
        found.genuine = True
        found.declared = bundle.types.get(content.type_code)
    if key.state == "revoked":
        return Reason.KEY_REVOKED
    if key.test and not bundle.test:
        return Reason.TEST_KEY
    if not found.genuine:
        return Reason.FORGED
    if found.declared is None or content.type_code not in key.pass_types:
        return Reason.WRONG_TYPE
    if chosen.type_id is not None and found.declared.id != chosen.type_id:
        return Reason.WRONG_TYPE
    listed = trust.status_list(content.status_list)
    # Only lists and bundle say what time it is: one seal made by a fast clock must not make a device useless.
    if now < trust.newest_time() - chosen.tolerance:
        found.params = clock_params(at)
        return Reason.CLOCK_WRONG
    if code is not None:
        found.freshness = _freshness(code, trust, content.number, now, chosen.tolerance)
    status = None
    if listed is not None:
        found.list_issued_at = listed.frame.issued_at
        try:
            status = listed[content.status_index]
        except IndexError:
            listed = None
    known = _status(trust, content, status, listed.frame.sequence if listed else -1)
    if known in STATUS_REASONS:
        return STATUS_REASONS[known]
    if now >= content.expires:
        return Reason.EXPIRED
    if now < content.not_before:
        return Reason.NOT_YET_VALID
    index_expired = trust.index is None or trust.index.frame.is_expired(now)
    if listed is None or index_expired or listed.frame.is_expired(now):
        return Reason.NO_LIST
    if listed.frame.is_stale(now):
        return Reason.STALE_LIST
    if bundle_stale:
        found.list_issued_at = bundle.frame.issued_at
        return Reason.STALE_LIST
    return _circumstances(content, at, chosen, found)


def _circumstances(content: SealContent, at: datetime, chosen: CheckSettings, found: _Found) -> Reason:
    if content.zone is not None and not holds_in(chosen.zone, chosen.merged, content.zone):
        return Reason.OTHER_ZONE
    if any(content.seasons):
        today = at.astimezone(BERLIN).date()
        for plate, season in zip(content.plates, content.seasons, strict=True):
            if season is not None and not season.contains(today):
                found.params = {"plate": plate.canonical, "season": season.text}
                return Reason.OUT_OF_SEASON
    return Reason.NOT_FRESH if found.freshness is Freshness.STALE else Reason.VALID


def _status(trust: Trust, content: SealContent, status: Status | None, sequence: int) -> Status | None:
    """The entry's status, or an invalid one seen in a newer list than the one at hand."""
    number, index = content.status_list, content.status_index
    if status is not None:
        trust.state.remember_status(number, index, int(status), sequence)
    seen = trust.state.seen_status(number, index)
    if seen is not None and seen[1] >= sequence:
        return Status(seen[0])
    return status


def _paper_required(declared: BundleType | None, content: SealContent) -> bool:
    """Whether the print has to lie in the car: by the city's rule, or because no plate list has the pass."""
    if declared is None:
        return False
    return declared.paper_required or (declared.paper_without_plate and not content.plates)


def _freshness(code: rotating.RotatingCode, trust: Trust, number: str, now: int, tolerance: int) -> Freshness:
    plates = trust.plate_list()
    if plates is None or not plates.epoch_keys or plates.frame.is_expired(now):
        return Freshness.NOT_CHECKED
    fresh = any(rotating.is_fresh(code, key, number, now, tolerance) for key in plates.epoch_keys.values())
    return Freshness.FRESH if fresh else Freshness.STALE


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _berlin_day(second: int) -> date:
    return (_EPOCH + timedelta(seconds=second)).astimezone(BERLIN).date()
