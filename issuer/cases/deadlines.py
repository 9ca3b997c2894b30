"""Cases whose holder has let the deadline pass: nothing comes of them, and the deletion's clock begins to run.

What waits for the office has a deadline as well, but no night ends it: it is shown as overdue until somebody acts.
But for money that was called back for a pass that has ended: nothing is left to decide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from issuer.cases import closing
from issuer.cases.states import CaseState, CaseStep
from issuer.cases.steps import end
from issuer.cases.store import CaseActor, overdue
from issuer.database import let_others_write
from issuer.models_cases import CaseRow
from issuer.nightly.reports import Report
from passes.periods import berlin_day

if TYPE_CHECKING:
    from issuer.application import Application

NAME: Final = "cases"
ACTOR: Final = "nightly"
_CHUNK: Final = 100
_CLOSED: Final = "chargebacks_closed"
# What becomes of a case that its holder has left lying, under the name that reports give it.
_ENDS: Final = {
    CaseState.DRAFT: (CaseStep.ABANDON, "drafts_abandoned"),
    CaseState.DOCUMENTS: (CaseStep.ABANDON, "cases_abandoned"),
    CaseState.AWAITING_PAYMENT: (CaseStep.LAPSE, "approvals_lapsed"),
}


def preview(application: Application, session: Session) -> dict[str, int]:
    """How many cases would end now."""
    day = berlin_day(application.now())
    counts: dict[str, int] = {}
    for state, (_, name) in _ENDS.items():
        waiting = (CaseRow.tenant == application.tenant, CaseRow.state == state.value, CaseRow.deadline < day)
        counts[name] = session.scalar(select(func.count()).select_from(CaseRow).where(*waiting)) or 0
    counts[_CLOSED] = closing.count_left_over(session, application.tenant, application.now())
    return {name: count for name, count in counts.items() if count}


def run(application: Application, report: Report) -> None:
    """End every case whose holder's deadline has passed, or whose pass has ended unpaid, in short transactions."""
    for state, (step, name) in _ENDS.items():
        while True:
            with application.writing() as session:
                at = application.now()
                found = overdue(session, application.tenant, berlin_day(at), state, _CHUNK)
                for case_id in found:
                    end(session, application.tenant, case_id, CaseActor(ACTOR, at), step)
                report.add(session, {name: len(found)})
            if len(found) < _CHUNK:
                break
            let_others_write()
    while True:
        with application.writing() as session:
            at = application.now()
            found = closing.left_over(session, application.tenant, at, _CHUNK)
            for case_id in found:
                closing.close(session, application.tenant, case_id, CaseActor(ACTOR, at))
            report.add(session, {_CLOSED: len(found)})
        if len(found) < _CHUNK:
            break
        let_others_write()
