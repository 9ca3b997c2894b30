"""From a plate as typed at the car to a verdict, by the signed plate list alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from keys.errors import Refusal
from passes.periods import BERLIN
from passes.plate_list import PlateEntry, PlateList
from passes.plates import Plate, PlateAmbiguous, correct_lookalikes, parse_with_season
from verifier.common import STATUS_REASONS, clock_params, holds_in
from verifier.seal_check import CheckSettings
from verifier.trust import Trust
from verifier.verdict import Colour, Reason, Verdict, severity

MAX_INPUT = 200

_AFTER_STALE_LIST = frozenset({Reason.OTHER_ZONE, Reason.OUT_OF_SEASON, Reason.VALID})


def check_plate(
    text: str, trust: Trust, at: datetime, settings: CheckSettings | None = None, language: str = "de"
) -> Verdict:
    """The verdict on a plate at the aware time ``at``; ``language`` is for the fault of an unreadable one."""
    chosen = settings or CheckSettings()
    now = int(at.timestamp())
    if trust.bundle is None or trust.bundle.frame.is_expired(now):
        return Verdict(Reason.NO_TRUST, at)
    plain = Verdict(Reason.VALID, at, test=trust.test)
    plates = trust.plate_list()
    newest = max(trust.newest_time(), plates.frame.issued_at if plates else 0)
    if now < newest - chosen.tolerance:
        return replace(plain, reason=Reason.CLOCK_WRONG, params=clock_params(at))
    try:
        spelling, corrected = correct_lookalikes(text[:MAX_INPUT])
        plate, _ = parse_with_season(spelling)
    except PlateAmbiguous as ambiguous:
        suggestions = tuple(sorted(one.canonical for one in ambiguous.suggestions))
        return replace(plain, reason=Reason.PLATE_AMBIGUOUS, suggestions=suggestions)
    except Refusal as fault:
        return replace(plain, reason=Reason.PLATE_INVALID, params={"fault": fault.sentence(language)})
    plain = replace(plain, plates=(plate.canonical,), corrected=plate.canonical if corrected else None)
    if plates is None:
        return replace(plain, reason=Reason.NO_LIST)
    plain = replace(
        plain,
        list_issued_at=datetime.fromtimestamp(plates.frame.issued_at, UTC),
        paper_required=any(one.paper_required for one in trust.bundle.types.values()),
    )
    try:
        verdict = _listed(plate, plates, plain, at, chosen)
    except Refusal:
        return replace(plain, reason=Reason.NO_LIST)
    if verdict.reason in _AFTER_STALE_LIST and trust.bundle.frame.is_stale(now):
        # The key that signed the list may have been revoked since.
        made = datetime.fromtimestamp(trust.bundle.frame.issued_at, UTC)
        return replace(verdict, reason=Reason.STALE_LIST, list_issued_at=made, params={})
    return verdict


def _listed(plate: Plate, plates: PlateList, plain: Verdict, at: datetime, chosen: CheckSettings) -> Verdict:
    now = int(at.timestamp())
    entries = plates.find(plate)
    if plates.frame.is_expired(now):
        if entries:
            return replace(plain, reason=Reason.NO_LIST)
        return replace(plain, reason=Reason.NOT_LISTED, colour=Colour.GREY)
    stale = plates.frame.is_stale(now)
    if entries:
        verdicts = [_entry(entry, plain, at, stale, chosen) for entry in entries]
        return min(verdicts, key=lambda one: (severity(one), one.reason.value[1]))
    others = [
        other.canonical
        for suffix in ("", "E", "H")
        if suffix != plate.suffix and (other := _with_suffix(plate, suffix)) and plates.find(other)
    ]
    if others:
        return replace(plain, reason=Reason.SUFFIX_DIFFERS, suggestions=tuple(others))
    return replace(plain, reason=Reason.NOT_LISTED, colour=Colour.AMBER if stale else None)


def _with_suffix(plate: Plate, suffix: str) -> Plate | None:
    try:
        return Plate.from_canonical(f"{plate.district}-{plate.letters} {plate.number}{suffix}")
    except Refusal:
        return None


def _entry(entry: PlateEntry, plain: Verdict, at: datetime, stale: bool, chosen: CheckSettings) -> Verdict:
    shown = replace(plain, zone=entry.zone, valid_from=entry.period.first, valid_until=entry.period.last)
    today = at.astimezone(BERLIN).date()
    if entry.status in STATUS_REASONS:
        return replace(shown, reason=STATUS_REASONS[entry.status])
    if today > entry.period.last:
        return replace(shown, reason=Reason.EXPIRED)
    if today < entry.period.first:
        return replace(shown, reason=Reason.NOT_YET_VALID)
    if stale:
        return replace(shown, reason=Reason.STALE_LIST)
    if not holds_in(chosen.zone, chosen.merged, entry.zone):
        return replace(shown, reason=Reason.OTHER_ZONE)
    if entry.season is not None and not entry.season.contains(today):
        plate = plain.plates[0] if plain.plates else ""
        params: dict[str, object] = {"plate": plate, "season": entry.season.text}
        return replace(shown, reason=Reason.OUT_OF_SEASON, params=params)
    return shown
