"""Handing in a case whose answer the rules may have already: then nobody of the office has to decide.

What registers confirm is approved at once, what lacks evidence is asked for at once, and whatever needs a person
waits for one: exceptions with their four eyes, and more changes of plates than a year allows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.cases import issue, steps
from issuer.cases.rules import CaseRules, CheckOutcome
from issuer.cases.store import Case, CaseActor
from passes.periods import berlin_day

AUTOMATIC: Final = "automatic"
# Which evidence to ask the holder for, by what a check is called.
_REQUESTS: Final[Mapping[str, str]] = {
    "residence": "residence",
    "keeper": "registration",
    "german_registration": "registration",
    "other_keeper": "keeper",
    "organisation": "organisation",
    "justification": "exception",
    "one_permit": "exception",
}


def hand_in(
    session: Session,
    application: Application,
    case_id: str,
    actor: CaseActor,
    rules: CaseRules,
    *,
    decided_by: str = AUTOMATIC,
) -> Case:
    """Submit a draft as `steps.submit`, and go on as far as no person has to decide, in a writing transaction.

    ``decided_by`` is named for an approval. Returns the case where it then stands: issued or awaiting payment where
    nothing was open, documents where evidence is missing, submitted where the office has to look. Raises what
    submitting and issuing raise.
    """
    case = steps.submit(session, application.tenant, case_id, actor, rules)
    by_rules = CaseActor(decided_by, actor.at)
    waiting = [one for one in case.checks if one["outcome"] == CheckOutcome.EVIDENCE]
    wanted = _wanted(waiting)
    if wanted:
        return steps.ask_documents(
            session, application.tenant, case_id, replace(by_rules, name=AUTOMATIC), wanted
        )
    if waiting or rules.is_exception(case.facts, berlin_day(actor.at)):
        return case
    return issue.approve(session, application, case_id, by_rules, rules)


def _wanted(waiting: Sequence[Mapping[str, Any]]) -> list[str]:
    """The requests that stand for open checks; why there are so many changes is for a clerk to ask."""
    found = (
        _REQUESTS.get(one["name"].rstrip("_0123456789"))
        for one in waiting
        if one["reason"] != steps.TOO_MANY_CHANGES
    )
    return list(dict.fromkeys(one for one in found if one is not None))
