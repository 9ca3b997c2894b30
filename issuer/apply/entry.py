"""The ways in: what applying needs and costs, beginning, the link that leads back, and asking for a new one."""

from __future__ import annotations

import hmac
from typing import Any, Final

from litestar import HttpMethod, Response, get, post, route
from litestar.params import FromPath
from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.apply.answers import Answers
from issuer.apply.asking import CHANNEL, amount
from issuer.apply.forms import PageForm
from issuer.apply.guests import ACTOR, NoCaseVisit, TooOften, acting_guest_of, guest_of, with_visit
from issuer.apply.log_in import PROVIDER
from issuer.apply.problems import problem
from issuer.cases import access, store
from issuer.cases.facts import CaseKind, Channel
from issuer.cases.mails import CaseMail
from issuer.cases.states import ENDED
from issuer.cases.store import CaseActor
from issuer.delivery import mail_queue
from issuer.models_cases import CaseApplicantRow, CaseRow
from issuer.rules.city_rules import CityRules, load_rules
from issuer.web import rates
from issuer.web.reader import AnyRequest, Reader, reader_of
from passes.periods import berlin_day

PERMIT: Final = "resident-parking-permit"
_READS: Final = [HttpMethod.GET, HttpMethod.HEAD]
_LONGEST_NUMBER: Final = 20


@get("/apply", sync_to_thread=True)
def start(request: AnyRequest) -> Response[Any]:
    """What is needed and what it costs, and two doors; an application that this browser has open is the third."""
    application, reader = reader_of(request)
    try:
        guest = guest_of(request)
        number = guest.case.number if guest.case.state not in ENDED else ""
    except NoCaseVisit:
        number = ""
    with application.reading() as session:
        rules = load_rules(session, application.tenant, PERMIT)
    return reader.shown(
        "apply/start.html",
        prices=_prices(rules, application, reader.language),
        days=access.LINK_LIFETIME.days,
        number=number,
        told="",
    )


@post("/apply", status_code=303, sync_to_thread=True)
def begin(request: AnyRequest) -> Response[Any]:
    """A new draft, and a visit of this browser to it."""
    application, reader = reader_of(request)
    if not reader.is_from_here():
        return problem(reader, 403, "FOREIGN_FORM")
    with application.writing() as session:
        if not rates.take(session, application, rates.CASES_OF_CLIENT, reader.network):
            raise TooOften(rates.CASES_OF_CLIENT)
        actor = CaseActor(ACTOR, application.now())
        case = store.begin(session, application.tenant, CaseKind.NEW, PERMIT, Channel.ONLINE, actor)
        visit = access.start_visit(session, application, case.id)
    return with_visit(reader, reader.go("/apply/address"), visit)


@route("/apply/l/{token:str}", http_method=_READS, sync_to_thread=True)
def link(request: AnyRequest, token: FromPath[str]) -> Response[Any]:
    """The page of a link: one button, and nothing that a visit of a mail scanner could use up."""
    application, reader = reader_of(request)
    with application.reading() as session:
        if PROVIDER.is_open(session, application, token):
            return reader.shown("apply/link.html", token=token, told="")
    return _gone(reader)


@post("/apply/l/{token:str}", status_code=303, sync_to_thread=True)
def use_link(request: AnyRequest, token: FromPath[str]) -> Response[Any]:
    """Use the link up and begin a visit."""
    application, reader = reader_of(request)
    if not reader.is_from_here():
        return problem(reader, 403, "FOREIGN_FORM")
    with application.writing() as session:
        arrival = PROVIDER.arrive(session, application, token)
    if arrival is None:
        return _gone(reader)
    return with_visit(reader, reader.go("/apply/case"), arrival.visit)


@get("/apply/link", sync_to_thread=True)
def keep_link(request: AnyRequest) -> Response[Any]:
    """How to come back without a mail address: the case number, and the button that shows a link."""
    guest = guest_of(request)
    if access.lifetime_of(guest.case.state.value) < access.LINK_LIFETIME:
        # What leads to a pass has its own ways in.
        return guest.reader.go("/apply/case")
    return guest.page("keep_link.html", link="", days=access.LINK_LIFETIME.days)


@post("/apply/link", status_code=200, sync_to_thread=True)
def show_link(request: AnyRequest, data: PageForm) -> Response[Any]:
    """A link to this case, to be noted: it stands on this page and nowhere else."""
    guest = acting_guest_of(request, data)
    if access.lifetime_of(guest.case.state.value) < access.LINK_LIFETIME:
        return guest.reader.go("/apply/case")
    with guest.application.writing() as session:
        guest.check(session)
        guest.limit(session, rates.LINKS_OF_CASE)
        made = access.create_link(session, guest.application, guest.case.id)
    return guest.page("keep_link.html", link=made, days=access.LINK_LIFETIME.days)


@get("/apply/new", sync_to_thread=True)
def ask_for_link(request: AnyRequest) -> Response[Any]:
    """The form that asks for a new link by mail."""
    _, reader = reader_of(request)
    return reader.shown("apply/new_link.html", form=Answers.of({}, reader.say, "number", "email"), told="")


@post("/apply/new", status_code=303, sync_to_thread=True)
def send_link(request: AnyRequest, data: PageForm) -> Response[Any]:
    """Send a link to who asks; the answer says nothing about whether there is such a case, or whose it is."""
    application, reader = reader_of(request)
    if not reader.is_from_here():
        return problem(reader, 403, "FOREIGN_FORM")
    form = Answers.of(data, reader.say, "number", "email")
    number, email = form.values["number"].upper(), form.values["email"]
    if not 0 < len(number) <= _LONGEST_NUMBER or not number.isprintable():
        form.wrong("number", "APPLY_NUMBER_MISSING")
    if not 0 < len(email) <= 254 or "@" not in email:
        form.wrong("email", "APPLY_EMAIL_WRONG")
    if form.errors:
        return reader.shown("apply/new_link.html", status=422, form=form, told="")
    with application.writing() as session:
        if not rates.take(session, application, rates.LINKS_OF_CLIENT, reader.network):
            raise TooOften(rates.LINKS_OF_CLIENT)
        may = rates.take(session, application, rates.LINKS_OF_CASE, f"asked/{number}")
        may = rates.take(session, application, rates.LINKS_OF_ADDRESS, email.casefold()) and may
        is_theirs = _is_of(session, application, number, email)
        # Known or not, the same is done: a mail about no case is dropped where it would be sent.
        about = number if may and is_theirs else ""
        at = application.now()
        mail_queue.add(session, application.tenant, CaseMail.LINK.value, (PERMIT, about), {}, at)
    return reader.go("/apply/new/sent")


@get("/apply/new/sent", sync_to_thread=True)
def link_sent(request: AnyRequest) -> Response[Any]:
    """What happens now, if number and address belong together."""
    _, reader = reader_of(request)
    return reader.shown("apply/new_link_sent.html", told="")


def _gone(reader: Reader) -> Response[Any]:
    return reader.shown("apply/link_gone.html", status=410, told="")


def _is_of(session: Session, application: Application, number: str, email: str) -> bool:
    """Whether the case ``number`` was asked for with the address ``email``."""
    known = session.scalar(
        select(CaseApplicantRow.email)
        .join(CaseRow, (CaseRow.tenant == CaseApplicantRow.tenant) & (CaseRow.id == CaseApplicantRow.case_id))
        .where(CaseRow.tenant == application.tenant, CaseRow.number == number)
    )
    return hmac.compare_digest((known or "").casefold().encode(), email.casefold().encode())


def _prices(rules: CityRules, application: Application, language: str) -> list[tuple[int, str, str]]:
    """What each term costs online today: months, lowest and highest fee of all zones."""
    day = berlin_day(application.now())
    terms = sorted({months for one in rules.kinds.on(day).values() for months in one.terms})
    classes = {zone.on(day).tariff_class for zone in rules.zones.values() if zone.holds_on(day)}
    found: list[tuple[int, str, str]] = []
    for months in terms:
        cents = [rules.fees.fee(one, CHANNEL, months, day) for one in sorted(classes)]
        known = sorted({one for one in cents if one is not None})
        if known:
            found.append((months, amount(known[0], language), amount(known[-1], language)))
    return found


HANDLERS: Final = [
    start,
    begin,
    link,
    use_link,
    keep_link,
    show_link,
    ask_for_link,
    send_link,
    link_sent,
]
