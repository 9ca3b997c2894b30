"""Print runs as the office sees them: begun, looked at, printed again, spoiled, posted."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Final

from sqlalchemy import ColumnElement, exists, insert, select, update
from sqlalchemy.orm import Session

from issuer import audit
from issuer.application import Application
from issuer.audit import AuditEvent, Facts
from issuer.errors import IssuerRefusal
from issuer.models_print import PrintFileRow, PrintItemRow, PrintRunRow
from issuer.printing import making
from issuer.printing.selection import Chosen, Kind, Selection, chosen, printable_types
from issuer.waiting_letters import mark_posted_in

QUEUED, RUNNING, DONE, FAILED = "queued", "running", "done", "failed"
WAITING, MADE, FAULTY, SPOILED = "waiting", "made", "faulty", "spoiled"
_LISTED: Final = 50


def begin(session: Session, application: Application, selection: Selection, *, actor: str) -> str:
    """Begin a run of what ``selection`` finds, in the caller's writing transaction; returns its id.

    At most `selection.MOST` passes; the rest is for the next run. Raises IssuerRefusal PRINT_NOTHING.
    """
    _, found = chosen(session, application, selection)
    return _begin(session, application, selection.kind, selection.stored(), found, actor)


def again(session: Session, application: Application, run_id: str, *, actor: str) -> str:
    """Print once more, in a run of its own: what was spoiled of the run, or all of it if nothing was.

    Passes are printed as they are now. Raises IssuerRefusal PRINT_UNKNOWN, PRINT_NOTHING.
    """
    run = run_of(session, application, run_id)
    items = items_of(session, application, run_id)
    spoiled = [one for one in items if one.state == SPOILED]
    # What was spoiled of letters can have been posted as another print meanwhile: making looks at each again.
    wanted = spoiled or [one for one in items if one.state != FAULTY]
    found = [Chosen(one.type_id, one.number, one.n, one.letter_id) for one in wanted]
    return _begin(session, application, Kind(run.kind), {**run.selection, "again": run_id}, found, actor)


def spoil(
    session: Session, application: Application, run_id: str, first: int, last: int, *, actor: str
) -> int:
    """Note the sheets ``first`` to ``last`` of the run as spoiled; returns how many of them were made.

    Raises IssuerRefusal PRINT_UNKNOWN, PRINT_UNFINISHED, PRINT_POSITIONS.
    """
    run = run_of(session, application, run_id)
    if run.state != DONE:
        raise IssuerRefusal("PRINT_UNFINISHED")
    if not 1 <= first <= last <= run.total:
        raise IssuerRefusal("PRINT_POSITIONS", most=run.total)
    hit = [one for one in items_of(session, application, run_id) if first <= one.position <= last]
    made = [one for one in hit if one.state == MADE]
    for one in made:
        one.state = SPOILED
    session.flush()
    _note(session, application, "spoil-print", run_id, actor, {"first": first, "last": last})
    return len(made)


def posted(session: Session, application: Application, run_id: str, *, actor: str) -> int:
    """Take the run's letters off the list of those waiting; returns how many. Raises as `spoil`."""
    run = run_of(session, application, run_id)
    if run.state != DONE:
        raise IssuerRefusal("PRINT_UNFINISHED")
    ids = [
        one.letter_id for one in items_of(session, application, run_id) if one.state == MADE and one.letter_id
    ]
    count = mark_posted_in(session, application, ids)
    run.posted_at = application.now()
    session.flush()
    _note(session, application, "post-print", run_id, actor, {"letters": count})
    return count


def runs(session: Session, application: Application, *, library: bool) -> Sequence[PrintRunRow]:
    """The newest runs of library cards (``library``), or of everything else; one of both is nobody's."""
    return session.scalars(
        select(PrintRunRow)
        .where(PrintRunRow.tenant == application.tenant, *_only(application, library=library))
        .order_by(PrintRunRow.created_at.desc(), PrintRunRow.id)
        .limit(_LISTED)
    ).all()


def check_area(session: Session, application: Application, run_id: str, *, library: bool) -> None:
    """See that the run is one of those that `runs` lists. Raises IssuerRefusal PRINT_UNKNOWN."""
    found = session.scalar(
        select(PrintRunRow.id).where(
            PrintRunRow.tenant == application.tenant,
            PrintRunRow.id == run_id[:32],
            *_only(application, library=library),
        )
    )
    if found is None:
        raise IssuerRefusal("PRINT_UNKNOWN")


def _only(application: Application, *, library: bool) -> list[ColumnElement[bool]]:
    """Runs with nothing but library cards, or with none: what is printed says it, so of old runs too."""
    cards = printable_types(application, library=True)
    item = exists().where(PrintItemRow.tenant == PrintRunRow.tenant, PrintItemRow.run_id == PrintRunRow.id)
    is_card = PrintItemRow.type_id.in_(cards)
    if library:
        return [item.where(is_card), ~item.where(~is_card)]
    return [~item.where(is_card)]


def run_of(session: Session, application: Application, run_id: str) -> PrintRunRow:
    """The run. Raises IssuerRefusal PRINT_UNKNOWN."""
    row = session.get(PrintRunRow, (application.tenant, run_id[:32]))
    if row is None:
        raise IssuerRefusal("PRINT_UNKNOWN")
    return row


def items_of(session: Session, application: Application, run_id: str) -> Sequence[PrintItemRow]:
    """What the run prints, in the order of its sheets."""
    return session.scalars(
        select(PrintItemRow)
        .where(PrintItemRow.tenant == application.tenant, PrintItemRow.run_id == run_id)
        .order_by(PrintItemRow.position)
    ).all()


def has_file(session: Session, application: Application, run_id: str) -> bool:
    """Whether the run's PDF is still there."""
    found = session.scalar(
        select(PrintFileRow.part).where(
            PrintFileRow.tenant == application.tenant, PrintFileRow.run_id == run_id, PrintFileRow.part == 0
        )
    )
    return found is not None


def outstanding(session: Session, tenant: str) -> Sequence[str]:
    """The ids of the runs that have not ended."""
    return session.scalars(
        select(PrintRunRow.id).where(PrintRunRow.tenant == tenant, PrintRunRow.state.in_((QUEUED, RUNNING)))
    ).all()


def _begin(
    session: Session,
    application: Application,
    kind: Kind,
    selection: dict[str, object],
    found: Sequence[Chosen],
    actor: str,
) -> str:
    if not found:
        raise IssuerRefusal("PRINT_NOTHING")
    tenant, run_id = application.tenant, secrets.token_hex(16)
    session.add(
        PrintRunRow(
            tenant=tenant,
            id=run_id,
            kind=kind.value,
            selection=selection,
            state=QUEUED,
            actor=actor,
            total=len(found),
            done=0,
            created_at=application.now(),
            finished_at=None,
            posted_at=None,
        )
    )
    session.flush()
    session.execute(
        insert(PrintItemRow),
        [
            {
                "tenant": tenant,
                "run_id": run_id,
                "position": position,
                "type_id": one.type_id,
                "number": one.number,
                "n": one.n,
                "letter_id": one.letter_id,
                "state": WAITING,
                "code": "",
            }
            for position, one in enumerate(found, start=1)
        ],
    )
    _note(session, application, "print", run_id, actor, {"kind": kind.value, "count": len(found)})
    application.enqueue(session, making.TASK, {"id": run_id})
    return run_id


def _note(
    session: Session, application: Application, action: str, run_id: str, actor: str, after: Facts
) -> None:
    event = AuditEvent(action, f"print/{run_id}", after=after)
    audit.append(session, application.tenant, [event], application.now(), actor)


def fail(session: Session, application: Application, run_id: str) -> None:
    """Note that the run could not be made."""
    session.execute(
        update(PrintRunRow)
        .where(PrintRunRow.tenant == application.tenant, PrintRunRow.id == run_id)
        .values(state=FAILED, finished_at=application.now())
    )
