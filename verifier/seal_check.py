"""From the text of a code to a verdict. Never raises for anything the text can hold.

The reasons are tried in the order of `Reason`: the first that applies wins.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from cryptography.exceptions import InvalidSignature

from keys.bundle import BundleKey
from passes import rotating, seal
from passes.periods import BERLIN
from passes.seal import MalformedSeal, NotASeal, ReadSeal, SealContent
from passes.status_list import Status
from verifier.trust import Trust
from verifier.verdict import Colour, Freshness, Reason, Verdict

_STATUS_REASONS = {
    Status.INVALID: Reason.REVOKED,
    Status.SUPERSEDED: Reason.SUPERSEDED,
    Status.SUSPENDED: Reason.SUSPENDED,
}


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """What the person checking has chosen. ``tolerance`` is how far a clock may be behind, in seconds."""

    zone: str | None = None
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
    freshness = _freshness(code, trust, read.content.number, int(at.timestamp()), chosen.tolerance)
    return replace(_check(read, trust, at, chosen, freshness), freshness=freshness, test=trust.test)


def _check(
    read: ReadSeal, trust: Trust, at: datetime, chosen: CheckSettings, freshness: Freshness
) -> Verdict:
    now = int(at.timestamp())
    content = read.content
    bundle = trust.bundle
    if bundle is None or bundle.frame.is_expired(now):
        return Verdict(Reason.NO_TRUST, at)
    key = trust.key(read.message.kid)
    if key is None or not key.not_before <= content.issued_at <= key.not_after:
        return Verdict(Reason.UNKNOWN_KEY, at, colour=Colour.GREY if bundle.frame.is_stale(now) else None)
    shown = _shown(read, key, trust, at)
    if key.state == "revoked":
        return replace(shown, reason=Reason.KEY_REVOKED)
    if key.test and not bundle.test:
        return replace(shown, reason=Reason.TEST_KEY)
    if shown.number is None:
        return replace(shown, reason=Reason.FORGED)
    declared = bundle.types.get(content.type_code)
    if declared is None or content.type_code not in key.pass_types:
        return replace(shown, reason=Reason.WRONG_TYPE)
    if chosen.type_id is not None and declared.id != chosen.type_id:
        return replace(shown, reason=Reason.WRONG_TYPE)
    shown = replace(shown, paper_required=declared.paper_required)
    listed = trust.status_list(content.status_list)
    newest = max(trust.newest_time(), listed.frame.issued_at if listed else 0)
    if now < newest - chosen.tolerance:
        clock = at.astimezone(BERLIN).strftime("%d.%m.%Y %H:%M")
        return replace(shown, reason=Reason.CLOCK_WRONG, params={"clock": clock})
    status = None
    stale = bundle.frame.is_stale(now)
    if listed is not None:
        shown = replace(shown, list_issued_at=datetime.fromtimestamp(listed.frame.issued_at, UTC))
        try:
            status = listed[content.status_index]
        except IndexError:
            listed = None
    known = _status(trust, content, status, listed.frame.sequence if listed else -1)
    if known in _STATUS_REASONS:
        return replace(shown, reason=_STATUS_REASONS[known])
    if now >= content.expires:
        return replace(shown, reason=Reason.EXPIRED)
    if now < content.not_before:
        return replace(shown, reason=Reason.NOT_YET_VALID)
    index_expired = trust.index is None or trust.index.frame.is_expired(now)
    if listed is None or index_expired or listed.frame.is_expired(now):
        return replace(shown, reason=Reason.NO_LIST)
    if stale or listed.frame.is_stale(now):
        return replace(shown, reason=Reason.STALE_LIST)
    return _circumstances(shown, content, at, chosen, freshness)


def _circumstances(
    shown: Verdict, content: SealContent, at: datetime, chosen: CheckSettings, freshness: Freshness
) -> Verdict:
    if chosen.zone is not None and content.zone is not None:
        wanted = unicodedata.normalize("NFC", chosen.zone).casefold()
        if content.zone.casefold() != wanted:
            return replace(shown, reason=Reason.OTHER_ZONE)
    today = at.astimezone(BERLIN).date()
    for plate, season in zip(content.plates, content.seasons, strict=True):
        if season is not None and not season.contains(today):
            params: dict[str, object] = {"plate": plate.canonical, "season": season.text}
            return replace(shown, reason=Reason.OUT_OF_SEASON, params=params)
    if freshness is Freshness.STALE:
        return replace(shown, reason=Reason.NOT_FRESH)
    return shown


def _shown(read: ReadSeal, key: BundleKey, trust: Trust, at: datetime) -> Verdict:
    """A VALID verdict with the seal's content, or with nothing where the signature is wrong."""
    try:
        read.message.verify(key.public_key)
    except InvalidSignature:
        return Verdict(Reason.VALID, at)
    content = read.content
    declared = trust.bundle.types.get(content.type_code) if trust.bundle else None
    return Verdict(
        Reason.VALID,
        at,
        type_id=None if declared is None else declared.id,
        number=content.number,
        plates=tuple([plate.canonical for plate in content.plates]),
        zone=content.zone,
        card_number=content.card_number,
        organisation=content.organisation,
        valid_from=_berlin_day(content.not_before),
        valid_until=_berlin_day(content.expires - 1),
    )


def _status(trust: Trust, content: SealContent, status: Status | None, sequence: int) -> Status | None:
    """The entry's status, or an invalid one seen in a newer list than the one at hand."""
    number, index = content.status_list, content.status_index
    if status is not None:
        trust.state.remember_status(number, index, int(status), sequence)
    seen = trust.state.seen_status(number, index)
    if seen is not None and seen[1] >= sequence:
        return Status(seen[0])
    return status


def _freshness(
    code: rotating.RotatingCode | None, trust: Trust, number: str, now: int, tolerance: int
) -> Freshness:
    if code is None:
        return Freshness.NONE
    plates = trust.plate_list()
    if plates is None or not plates.epoch_keys:
        return Freshness.NOT_CHECKED
    fresh = any(rotating.is_fresh(code, key, number, now, tolerance) for key in plates.epoch_keys.values())
    return Freshness.FRESH if fresh else Freshness.STALE


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _berlin_day(second: int) -> date:
    return (_EPOCH + timedelta(seconds=second)).astimezone(BERLIN).date()
