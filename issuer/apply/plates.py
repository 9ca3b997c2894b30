"""The plates, or the organisation in their place. A part of the page answers while one types.

What can be read in several ways is asked back, never guessed: where the district ends, O or 0, I or 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from litestar import Response, get, post
from msgspec.structs import replace

from issuer import plate_reading
from issuer.apply.answers import Answers, line_of
from issuer.apply.asking import ask, changing_of, go_on, kind_of, rules_of
from issuer.apply.forms import PageForm
from issuer.apply.guests import Guest, NoDraft, acting_guest_of, drafting_guest_of
from issuer.apply.journey import Page
from issuer.cases.facts import MOST_PLATES, CaseFacts, PlateFact
from issuer.holders import Holder
from issuer.rules.kinds import KindRules
from issuer.web.reader import AnyRequest
from keys.errors import Refusal
from keys.texts import Texts
from passes.names import FieldKind
from passes.plates import Plate
from passes.seasons import Season

_PLATES: Final = tuple(f"plate_{place}" for place in range(1, MOST_PLATES + 1))
_FIELDS: Final = (*_PLATES, *(f"{one}_choice" for one in _PLATES), "organisation", "change")


@dataclass(frozen=True, slots=True)
class PlateAnswer:
    """What a plate as it was typed comes to: a plate, several to choose from, or what is wrong."""

    plate: Plate | None = None
    season: Season | None = None
    choices: tuple[str, ...] = ()
    refusal: Refusal | None = None

    @property
    def text(self) -> str:
        """The plate with its season, as it can be typed again."""
        if self.plate is None:
            return ""
        return f"{self.plate.canonical} ({self.season.text})" if self.season else self.plate.canonical

    def sentences(self, say: Texts) -> list[str]:
        """What there is to know about it."""
        if self.choices:
            return [say("APPLY_PLATE_CHOOSE")]
        if self.refusal is not None:
            return [self.refusal.sentence(say.language)]
        if self.plate is None:
            return []
        said = [say("APPLY_PLATE_READ", plate=self.plate.canonical)]
        if self.plate.suffix:
            said.append(say(f"APPLY_PLATE_SUFFIX_{self.plate.suffix}"))
        if self.season is not None:
            said.append(say("APPLY_PLATE_SEASON", first=self.season.first_month, last=self.season.last_month))
        return said


def read_plate(text: str) -> PlateAnswer:
    """What ``text`` comes to. Raises nothing for what people type."""
    reading = plate_reading.read_plate(text)
    one = reading.plate
    return PlateAnswer(
        one.plate if one is not None else None,
        one.season if one is not None else None,
        tuple(plate_reading.spelled(choice) for choice in reading.choices),
        reading.refusal,
    )


@get("/apply/plates", sync_to_thread=True)
def plates(request: AnyRequest) -> Response[Any]:
    """The form, with what is known."""
    guest = drafting_guest_of(request)
    facts = guest.case.facts
    known = {
        f"plate_{place}": f"{one.plate} ({one.season})" if one.season else one.plate
        for place, one in enumerate(facts.plates, start=1)
    }
    answers = Answers.of({**known, "organisation": facts.organisation}, guest.reader.say, *_FIELDS)
    return _page(guest, answers, _kind(guest))


@post("/apply/plates/check", status_code=200, sync_to_thread=True)
def check_plate(request: AnyRequest, data: PageForm) -> Response[Any]:
    """What the plate in the field ``field`` comes to: the part of the page that answers it."""
    guest = acting_guest_of(request, data)
    field = line_of(data, "field")
    field = field if field in _PLATES else _PLATES[0]
    answers = Answers.of(data, guest.reader.say, *_FIELDS)
    typed = answers.values[field]
    return guest.page(
        "plate_answer.html",
        field=field,
        answer=read_plate(typed) if typed else None,
        sentences=read_plate(typed).sentences(guest.reader.say) if typed else [],
    )


@post("/apply/plates", status_code=303, sync_to_thread=True)
def save_plates(request: AnyRequest, data: PageForm) -> Response[Any]:
    """Keep the plates as they are read, or the organisation."""
    guest = drafting_guest_of(request, data)
    answers, kind = Answers.of(data, guest.reader.say, *_FIELDS), _kind(guest)
    if kind is None:
        return guest.reader.go(Page.KIND.path)
    organisation, found = "", list[PlateFact]()
    if kind.organisation:
        organisation = answers.tidy("organisation", FieldKind.ORGANISATION)
        if not answers.values["organisation"]:
            answers.wrong("organisation", "APPLY_ORGANISATION_MISSING")
    else:
        found = _plates(answers, kind)
    if answers.errors:
        return _page(guest, answers, kind)

    def change(facts: CaseFacts, person: Holder | None) -> tuple[CaseFacts, Holder | None]:
        if facts.permit_kind != kind.id:
            # Another window of the same person has chosen another kind meanwhile.
            raise NoDraft
        return replace(facts, plates=tuple(found), organisation=organisation), person

    return go_on(guest, Page.PLATES, guest.save(change), changing_of(data))


def _plates(answers: Answers, kind: KindRules) -> list[PlateFact]:
    found: list[PlateFact] = []
    for field in _PLATES[: kind.plates]:
        typed = answers.values[f"{field}_choice"] or answers.values[field]
        answers.values[field] = typed
        if not typed:
            answers.wrong(field, "APPLY_PLATE_MISSING")
            continue
        answer = read_plate(typed)
        if answer.plate is None:
            answers.errors.setdefault(field, answer.sentences(answers.say)[0])
            continue
        fact = PlateFact(answer.plate.canonical, answer.season.text if answer.season else None)
        if any(one.plate == fact.plate for one in found):
            answers.wrong(field, "PLATES_SAME", plate=fact.plate)
        found.append(fact)
    return found


def _kind(guest: Guest) -> KindRules | None:
    with guest.application.reading() as session:
        return kind_of(guest, rules_of(session, guest))


def _page(guest: Guest, answers: Answers, kind: KindRules | None) -> Response[Any]:
    if kind is None:
        return guest.reader.go(Page.KIND.path)
    if not kind.plates and not kind.organisation:
        return guest.reader.go(Page.CAR.path)
    fields = _PLATES[: kind.plates]
    say = guest.reader.say
    shown = {one: read_plate(answers.values[one]) for one in fields if answers.values[one]}
    return ask(
        guest,
        Page.PLATES,
        answers,
        kind,
        asks_organisation=kind.organisation,
        fields=fields,
        read=shown,
        sentences={one: answer.sentences(say) for one, answer in shown.items()},
    )


HANDLERS: Final = [plates, check_plate, save_plates]
