"""What the office reads about a case: labels of its codes, its history in words, its next step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.audit import AuditEntry
from issuer.cases.rules import CheckOutcome
from issuer.cases.states import CaseState
from issuer.cases.store import Case
from issuer.console.moments import moment
from issuer.holders import Holder
from issuer.payments.pages import euros
from issuer.rules.city_rules import CityRules
from issuer.staff.accounts import accounts, staff_actor
from keys.errors import Refusal
from keys.texts import Texts
from passes.display import day_text

_KINDS: Final = {
    CaseState.SUBMITTED: "info",
    CaseState.SECOND_LOOK: "warning",
    CaseState.CHARGED_BACK: "danger",
    CaseState.ISSUED: "success",
    CaseState.REFUSED: "danger",
}
# What of an entry of the audit trail is told, in this order.
_DETAILS: Final = (
    "state", "wanted", "exception", "check", "evidence", "credential", "issuer", "pass", "fee_cents",
)  # fmt: skip
# Codes in the audit trail, and the catalogue's prefix of what they are called.
_CODED: Final = {
    "reason": "DESK_REFUSE_",
    "exception": "DESK_EXCEPTION_",
    "wanted": "DESK_WANTED_",
    "state": "DESK_STATE_",
    "credential": "WALLET_CREDENTIAL_",
}


def label(say: Texts, prefix: str, code: str) -> str:
    """What a code is called; the code itself where the catalogue has no word for it."""
    name = f"{prefix}{code.upper()}"
    return say(name) if name in say else code


def state_kind(state: CaseState) -> str:
    """The kind of badge of a state."""
    return _KINDS.get(state, "info")


def check_label(say: Texts, name: str) -> str:
    """What a check is called: ``keeper_2`` is about the second vehicle."""
    base, _, vehicle = name.rpartition("_")
    if vehicle.isdecimal() and base:
        return say("DESK_CHECK_OF_VEHICLE", check=label(say, "DESK_CHECK_", base), vehicle=vehicle)
    return label(say, "DESK_CHECK_", name)


def shown_checks(
    checks: Sequence[Mapping[str, Any]], say: Texts, rules: CityRules, proof: str = ""
) -> list[dict[str, Any]]:
    """The checks of a case with outcome, reason, and what evidence settles the open ones.

    ``proof`` is the sentence of `issuer.cases.proofs.proof_text`, for what a wallet has settled.
    """
    return [
        {
            "name": one["name"],
            "label": check_label(say, one["name"]),
            "outcome": "accepted" if one.get("accepted") else one["outcome"],
            "reason": label(say, "ELIGIBILITY_", one["reason"]) if one["reason"] else "",
            "accepted": _accepted(one, say, rules, proof),
            "is_open": one["outcome"] == CheckOutcome.EVIDENCE and not one.get("accepted"),
            "evidence": [
                {"value": kind, "label": evidence_label(rules, kind, say.language), "chosen": False}
                for kind in one["evidence"]
            ],
        }
        for one in checks
    ]


def _accepted(check: Mapping[str, Any], say: Texts, rules: CityRules, proof: str) -> str:
    if check.get("proven") and proof:
        return proof
    if not check.get("accepted"):
        return ""
    return say("DESK_ACCEPTED", evidence=evidence_label(rules, check["accepted"], say.language))


def evidence_label(rules: CityRules, name: str, language: str) -> str:
    """What an evidence type is called; its own name where the city knows it no more."""
    found = rules.evidence_type(name)
    return name if found is None else found.label(language)


def kind_label(application: Application, type_id: str, kind: str, language: str) -> str:
    """What a permit kind is called on the pass."""
    choices = application.pass_types[type_id].words(language).choices
    return choices.get("permit_kind", {}).get(kind, kind)


def fact_lines(case: Case, say: Texts, kind: str) -> list[tuple[str, str]]:
    """What is asked for; ``kind`` is the label of the permit kind."""
    facts = case.facts
    lines = [
        (say("DESK_FACT_KIND"), label(say, "DESK_KIND_", case.kind.value)),
        (say("DESK_FACT_CHANNEL"), label(say, "DESK_CHANNEL_", case.channel.value)),
        (say("DESK_FACT_PASS"), case.pass_number or ""),
        (say("DESK_FACT_PERMIT"), kind),
        (say("DESK_FACT_ZONE"), facts.zone),
        (
            say("DESK_FACT_PLATES"),
            ", ".join(f"{one.plate} {one.season or ''}".strip() for one in facts.plates),
        ),
        (say("DESK_FACT_ORGANISATION"), facts.organisation),
        (say("DESK_FACT_KEEPER"), label(say, "DESK_KEEPER_", facts.keeper) if facts.keeper else ""),
        (
            say("DESK_FACT_RESIDENCE"),
            label(say, "DESK_RESIDENCE_", facts.residence) if facts.residence else "",
        ),
        (say("DESK_FACT_TERM"), say("DESK_MONTHS", months=facts.term_months) if facts.term_months else ""),
        (say("DESK_FACT_FIRST"), day_text(facts.first_day, say.language) if facts.first_day else ""),
        (say("DESK_FACT_FEE"), euros(case.fee_cents) if case.fee_cents is not None else ""),
        (
            say("DESK_FACT_EXCEPTION"),
            label(say, "DESK_EXCEPTION_", case.exception) if case.exception else "",
        ),
    ]
    return [(name, text) for name, text in lines if text]


def person_lines(person: Holder | None, say: Texts) -> list[tuple[str, str]]:
    """Who asks; nothing after the deletion."""
    if person is None:
        return []
    lines = [
        (say("OFFICE_PASS_HOLDER"), person.name),
        (say("DESK_ADDRESS"), f"{person.street} {person.house_number}, {person.postal_code} {person.city}"),
        (say("PICKUP_HOLDER_EMAIL"), person.email or say("DESK_NO_MAIL")),
    ]
    return [(name, text) for name, text in lines if text]


def staff_names(session: Session, application: Application) -> dict[str, str]:
    """The names of the office's people by the audit trail's actors."""
    return {staff_actor(row.id): row.display_name for row in accounts(session, application)}


def actor_label(actor: str, say: Texts, names: Mapping[str, str]) -> str:
    """Who did something, as the office reads it."""
    if actor in names:
        return names[actor]
    if actor == "holder":
        return say("OFFICE_BY_HOLDER")
    if actor.startswith("payment:"):
        return say("DESK_BY_PAYMENT")
    return say("DESK_BY_NIGHT") if actor == "nightly" else actor


def refusal_sentence(say: Texts, refusal: Refusal) -> str:
    """Why a step was not taken, with the codes in it in words."""
    told = dict(refusal.params)
    if refusal.code == "CASE_OPEN":
        told["checks"] = ", ".join(check_label(say, one) for one in str(told["checks"]).split(", "))
    elif refusal.code == "CASE_STEP":
        told["state"] = label(say, "DESK_STATE_", str(told["state"]))
    elif refusal.code == "CASE_REFUSED":
        told |= {
            "check": check_label(say, str(told["check"])),
            "reason": label(say, "ELIGIBILITY_", str(told["reason"])),
        }
    elif refusal.code == "CASE_REASON":
        return say("DESK_REASON_MISSING")
    elif refusal.code in ("CASE_CHECK", "EVIDENCE_TYPE"):
        told["check"] = check_label(say, str(told["check"]))
    else:
        return refusal.sentence(say.language)
    return say(refusal.code, **told)


def history_lines(
    entries: Sequence[AuditEntry],
    say: Texts,
    names: Mapping[str, str],
    rules: CityRules | None = None,
) -> list[dict[str, Any]]:
    """The case's entries in the audit trail, newest first, in words; ``rules`` know what evidence is called."""
    lines = []
    for entry in reversed(entries):
        after = entry.after or {}
        details = [
            say(f"DESK_DETAIL_{name.upper()}", value=_words(say, name, after[name], rules))
            for name in _DETAILS
            if after.get(name) not in (None, "", [])
        ]
        if entry.reason:
            details.append(say("PICKUP_REASON", reason=label(say, "DESK_REFUSE_", entry.reason)))
        if after.get("free"):
            details.append(say("DESK_DETAIL_FREE"))
        lines.append(
            {
                "at": moment(entry.at, say.language),
                "by": actor_label(entry.actor, say, names),
                "text": label(say, "DESK_ACTION_", entry.action),
                "details": details,
            }
        )
    return lines


def next_step(case: Case, say: Texts) -> str:
    """The one thing that is to be done next."""
    return say(f"DESK_NEXT_{case.state.name}")


def deadline_text(deadline: date | None, today: date, say: Texts) -> str:
    """Until when; empty without a deadline."""
    if deadline is None:
        return ""
    code = "DESK_UNTIL_PAST" if deadline < today else "DESK_UNTIL"
    return say(code, day=day_text(deadline, say.language))


def _words(say: Texts, name: str, value: object, rules: CityRules | None) -> str:
    if name == "evidence" and rules is not None:
        return evidence_label(rules, str(value), say.language)
    if name == "fee_cents" and isinstance(value, int):
        return euros(value)
    if name == "check":
        return check_label(say, str(value))
    values = value if isinstance(value, list) else [value]
    return ", ".join(label(say, _CODED.get(name, "\x00"), str(one)) for one in values)
