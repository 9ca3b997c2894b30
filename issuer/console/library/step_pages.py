"""What the pages of the desk's steps show: what a step does, what it needs to know, and what stands in its way."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from litestar import Response

from issuer.console.desk import Desk
from issuer.console.euros import shown
from issuer.console.fields import options
from issuer.console.library.shared import Shown, category_label, full_name, symbology_labels
from issuer.library import renewals
from issuer.library.membership import decisive_age
from issuer.models_library import BlockReason
from issuer.reinstatement import LONGEST
from issuer.web.forms import Form
from keys.errors import Refusal
from passes.display import day_text
from passes.model import PassStatus
from passes.periods import berlin_day

_BLOCK: Final = tuple(one.value for one in BlockReason if one is not BlockReason.OTHER)
UNBLOCK: Final = ("found", "paid", "other", "mistake")
# Why a card is taken back, issued anew, or no longer taken back, as the trail says it.
REASONS: Final = {
    "revoke": ("left", "requested", "wrongly_issued", "misuse"),
    "reissue": ("lost_phone", "lost_print", "copied", "requested"),
    "reinstate": ("mistake", "settled"),
}
# The steps that a page asks about, by the states of a card in which they are offered.
STEPS: Final = {
    # One that is held back already can have been lost since.
    "block": (PassStatus.ACTIVE, PassStatus.SUSPENDED),
    "unblock": (PassStatus.SUSPENDED,),
    # Who has lost a card gets another number, and that block ends with the old one; any other stays.
    "number": (PassStatus.ACTIVE, PassStatus.SUSPENDED),
    "renew": (PassStatus.ACTIVE, PassStatus.EXPIRED),
    "consent": tuple(PassStatus),
    "guardian": tuple(PassStatus),
    "birth": tuple(PassStatus),
    "reissue": (PassStatus.ACTIVE,),
    "revoke": (PassStatus.ACTIVE, PassStatus.SUSPENDED, PassStatus.EXPIRED),
    "reinstate": (PassStatus.REVOKED,),
}
_BUTTONS: Final = ("number", "renew", "consent", "guardian", "birth", "revoke", "reissue", "reinstate")
_TITLES: Final = ("renew", "consent", "guardian", "birth")
RECEIPT_FAULTS: Final = ("RECEIPT_FORMAT", "RECEIPT_USED", "PAYMENT_DONE", "OFFICE_LIB_RECEIPT_SURPLUS")
_BY_REASON: Final = "library_reason.html"
# The member's page offers these where they are needed, not among the others.
_ELSEWHERE: Final = ("consent", "guardian", "birth")
FIELDS: Final = (
    "reason", "fees", "card_number", "symbology", "consent", "consent_name", "guardian", "version",
    "birth_day", "birth_month", "birth_year", "receipt",
)  # fmt: skip


def renewable_from(one: Shown, today: date) -> date | None:
    """The day from which a card that is not blocked can be renewed; None where that is today or before."""
    opens = renewals.opens_on(one.row)
    return opens if today < opens and one.content.status in STEPS["renew"] else None


def offered(one: Shown, today: date) -> list[str]:
    """The steps that the card allows as it is on the day ``today``."""
    names = [name for name, states in STEPS.items() if one.content.status in states]
    has_reason = one.member is not None and one.member.block_reason is not None
    # What was suspended otherwise than by the library is not the desk's to change.
    is_foreign = one.content.status is PassStatus.SUSPENDED and not has_reason
    hidden = {
        *_ELSEWHERE,
        *(["number"] if is_foreign else []),
        *(["renew"] if renewable_from(one, today) else []),
    }
    return [name for name in names if name not in hidden]


def symbology_of(one: Shown) -> str:
    """The kind of barcode that the card has now; empty for none in particular."""
    return str(one.card.symbology or "") if one.card is not None else ""


def step_page(
    desk: Desk, one: Shown, step: str, form: Form, *, status: int = 200, is_stale: bool = False
) -> Response[Any]:
    """The page of ``step``; ``is_stale`` if the card has changed since its reader saw it."""
    say, rules = desk.reader.say, one.pass_type.spec.membership
    values: dict[str, Any] = {}
    template = f"library_{step}.html"
    match step:
        case "block":
            was = one.member.block_reason if one.member is not None else None
            others = (name for name in _BLOCK if name != was)
            reasons = {name: say(f"OFFICE_LIB_REASON_{name.upper()}") for name in others}
            values = {
                "effects": [say(f"OFFICE_LIB_BLOCK_EFFECT_{n}") for n in (1, 2, 3)],
                "reasons": options(reasons, form.values["reason"]),
            }
        case "unblock":
            reasons = {name: say(f"OFFICE_LIB_UNBLOCK_{name.upper()}") for name in UNBLOCK}
            template = _BY_REASON
            values = {
                "effects": [say(f"OFFICE_LIB_UNBLOCK_EFFECT_{n}") for n in (1, 2)],
                "reasons": options(reasons, form.values["reason"]),
            }
        case "revoke" | "reissue" | "reinstate":
            name = step.upper()
            reasons = {why: say(f"OFFICE_LIB_{name}_{why.upper()}") for why in REASONS[step]}
            template = _BY_REASON
            values = {
                "effects": [say(f"OFFICE_LIB_{name}_EFFECT_{n}", days=LONGEST.days) for n in (1, 2, 3)],
                "reasons": options(reasons, form.values["reason"]),
                "is_final": step != "reinstate",
            }
        case "number":
            values = {
                "refused": _in_the_way(desk, one),
                "symbologies": options(symbology_labels(say), form.values["symbology"]),
            }
        case "renew":
            values = _offer(desk, one)
        case "birth" if rules is not None:
            values = {
                "effects": [
                    say("OFFICE_LIB_BIRTH_EFFECT_1"),
                    say("OFFICE_LIB_BIRTH_EFFECT_2", age=rules.full_age),
                ],
                "kept_until": decisive_age(rules),
                "consent_under": rules.consent_under,
                "asks_consent": one.member is None or one.member.consent_at is None,
            }
    return desk.under(*one.crumbs).page(
        template,
        status=status,
        title=say(f"OFFICE_LIB_{step.upper()}_TITLE" if step in _TITLES else f"OFFICE_LIB_{step.upper()}"),
        button=say(f"OFFICE_LIB_{step.upper()}_BUTTON" if step in _BUTTONS else f"OFFICE_LIB_{step.upper()}"),
        one=one,
        path=one.path,
        action=f"{one.path}/steps/{step}",
        name=full_name(one.holder),
        card=one.row.card_key or one.row.number,
        form=form,
        # With a fault the page keeps the version that its reader has seen.
        version=form.values["version"] or one.version,
        stale=say("OFFICE_LIB_STEP_STALE") if is_stale else "",
        **({"refused": "", "is_final": False} | values),
    )


def _in_the_way(desk: Desk, one: Shown) -> str:
    """What has to be done before the card can get another number, in the order that works; empty for nothing."""
    application, say = desk.application, desk.reader.say
    blocked = one.content.status is PassStatus.SUSPENDED
    by_library = one.member is not None and one.member.block_reason is not None
    ended = one.row.period_last < berlin_day(application.now())
    is_over = one.content.status not in (*STEPS["number"], *STEPS["renew"])
    if is_over or (not ended and (by_library or not blocked)):
        return ""
    code = "ENDED_BLOCKED" if ended and blocked else "ENDED" if ended else "BLOCKED"
    return say(
        f"OFFICE_LIB_NUMBER_{code}",
        **_buttons(desk),
        last=day_text(one.row.period_last, desk.reader.language),
    )


def _buttons(desk: Desk) -> dict[str, str]:
    """What the buttons of the member's page say, for sentences that name them."""
    return {name: desk.reader.say(f"OFFICE_LIB_{name.upper()}") for name in ("unblock", "renew", "number")}


def _offer(desk: Desk, one: Shown) -> dict[str, Any]:
    application, say, language = desk.application, desk.reader.say, desk.reader.language
    today = berlin_day(application.now())
    if one.content.status is PassStatus.SUSPENDED:
        return {"refused": say("OFFICE_LIB_RENEW_BLOCKED", **_buttons(desk))}
    with application.reading() as session:
        try:
            offer = renewals.offer(session, application.tenant, one.pass_type, one.row.number, today)
        except Refusal as refusal:
            return {"refused": refusal.sentence(language)}
    changed = ""
    if offer.category != one.category:
        changed = say(
            "OFFICE_LIB_RENEW_CATEGORY",
            before=category_label(one.pass_type, one.category, language),
            after=category_label(one.pass_type, offer.category, language),
        )
    return {
        "refused": "",
        "until": day_text(one.row.period_last, language),
        "then": day_text(offer.last, language),
        "fee": fee_text(desk, offer.fee_cents),
        "asks_receipt": bool(offer.fee_cents),
        "changed": changed,
    }


def fee_text(desk: Desk, cents: int | None) -> str:
    """A fee in words; None is one that the city has not said."""
    if cents is None:
        return desk.reader.say("OFFICE_LIB_FEE_UNKNOWN")
    return shown(cents, desk.reader.language) if cents else desk.reader.say("OFFICE_LIB_FREE")
