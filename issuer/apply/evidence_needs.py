"""What evidence is needed for, and what would do: documents, or a wallet that shows where somebody lives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.orm import Session

from issuer import audit
from issuer.apply.asking import checks_of, kind_of, rules_of
from issuer.apply.guests import Guest, NoDraft
from issuer.cases import proofs, steps
from issuer.cases.facts import CaseKind, ProofCredential
from issuer.cases.rules import CheckOutcome
from issuer.cases.states import CaseState
from issuer.presentations.asking import can_ask
from issuer.presentations.trust import trusted_kinds
from issuer.presentations.wishes import Credential, Wish
from issuer.rules.city_rules import CityRules
from issuer.rules.kinds import Check, KindRules
from keys.texts import Texts

OPEN: Final = (CaseState.DRAFT, CaseState.DOCUMENTS)
CREDENTIALS: Final[Mapping[Credential, ProofCredential]] = {
    Credential.PID: ProofCredential.PID,
    Credential.RESIDENCE_CERTIFICATE: ProofCredential.RESIDENCE_CERTIFICATE,
}
_RESIDENCE: Final = "residence"
# Which checks the evidence is for that the office asks for.
_CHECKS_OF: Final[Mapping[str, tuple[Check, ...]]] = {
    "residence": (Check.RESIDENCE,),
    "keeper": (Check.KEEPER, Check.OTHER_KEEPER),
    "registration": (Check.KEEPER, Check.GERMAN_REGISTRATION),
    "organisation": (Check.ORGANISATION,),
    "exception": (Check.JUSTIFICATION,),
}


@dataclass(frozen=True, slots=True)
class Need:
    """What evidence is needed for: as a sentence, with the types that would do."""

    sentence: str
    types: tuple[str, ...]


def needs_of_checks(checks: Sequence[Mapping[str, Any]], say: Texts) -> list[Need]:
    """What stored checks still need, each once."""
    found: dict[str, Need] = {}
    for one in checks:
        if one["outcome"] == CheckOutcome.EVIDENCE and not one.get("accepted"):
            code = f"ELIGIBILITY_{one['reason']}"
            sentence = say(code) if code in say else say("APPLY_NEED_OTHER")
            found.setdefault(sentence, Need(sentence, tuple(one["evidence"])))
    return list(found.values())


def wanted_by_office(session: Session, guest: Guest) -> list[str]:
    """The codes of `steps.REQUESTS` that the office has asked for last, but for what a wallet has proven since.

    Empty where it has asked for nothing.
    """
    for entry in reversed(audit.history(session, guest.tenant, guest.case.subject)):
        wanted = (entry.after or {}).get("wanted")
        if entry.action == "case_ask_documents" and isinstance(wanted, list):
            return [str(one) for one in wanted if not (one == _RESIDENCE and _is_proven(guest))]
    return []


@dataclass(frozen=True, slots=True)
class Needed:
    """What is needed of a guest by the city's rules; ``credentials`` are those of a wallet that count for a need."""

    needs: list[Need]
    rules: CityRules
    kind: KindRules | None
    credentials: tuple[ProofCredential, ...]


def evidence_guest(guest: Guest) -> Guest:
    """``guest``, whose case can get evidence now. Raises NoDraft."""
    is_ours = guest.case.kind is CaseKind.NEW or guest.case.state is CaseState.DOCUMENTS
    if guest.case.state not in OPEN or not is_ours:
        raise NoDraft
    return guest


def needed(guest: Guest) -> Needed:
    """What is needed now. Raises what `issuer.apply.asking.checks_of` raises."""
    is_asked = guest.case.state is CaseState.DOCUMENTS
    with guest.application.reading() as session:
        rules = rules_of(session, guest)
        kind = kind_of(guest, rules)
        wanted = wanted_by_office(session, guest) if is_asked else []
        wallets = _wallets(session, guest)
    say, facts = guest.reader.say, guest.case.facts
    checks: Sequence[Mapping[str, Any]] = []
    if is_asked:
        checks = guest.case.checks
    elif kind is not None and guest.person is not None and facts.residence:
        checks = proofs.settled([one.stored() for one in checks_of(guest)], facts)
    of_kind = kind.checks if kind is not None else {}
    asked = [
        Need(
            say(f"APPLY_WANTED_{one.upper()}"),
            tuple(name for check in _CHECKS_OF.get(one, ()) for name in of_kind.get(check, ())),
        )
        for one in wanted
        if one in steps.REQUESTS
    ]
    accepted = [one["evidence"] for one in checks if proofs.is_for_wallet(one, facts)]
    if _RESIDENCE in wanted:
        accepted.append(of_kind.get(Check.RESIDENCE, ()))
    counting = {name for evidence in accepted for name in proofs.credentials_for(evidence, facts)}
    return Needed(
        [*asked, *needs_of_checks(checks, say)],
        rules,
        kind,
        tuple(one for one in wallets if one in counting),
    )


def wallet_lead(credentials: Sequence[ProofCredential], say: Texts) -> str:
    """What a wallet can show instead of a document, of ``credentials``; empty where none would do."""
    if not credentials:
        return ""
    return say("WALLET_APPLY_LEAD" if len(credentials) > 1 else f"WALLET_APPLY_LEAD_{credentials[0].name}")


def _wallets(session: Session, guest: Guest) -> list[ProofCredential]:
    """The credentials that wallets can be asked for here."""
    if not can_ask(session, guest.application, Wish.PROOF_OF_RESIDENCE):
        return []
    there = trusted_kinds(guest.application)
    return [ours for name, ours in CREDENTIALS.items() if name in there]


def _is_proven(guest: Guest) -> bool:
    """Whether a wallet has proven the residence since the office has asked."""
    proof = guest.case.facts.residence_proof
    return proof is not None and proof.at >= guest.case.state_since
