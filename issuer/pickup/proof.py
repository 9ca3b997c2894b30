"""A second proof beside the link, for what cannot be taken back: whoever has found a link shall change nothing.

The code from a letter proves it, and so does the last day of validity, which stands on the pass and not in the mail
with the link. A visit that was opened with both needs nothing more. Wrong tries are counted for each pass.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy.orm import Session

from issuer.pickup.codes import confirm_code, read_code
from issuer.pickup.guests import Guest
from issuer.pickup.links import Channel
from issuer.web import rates
from issuer.web.forms import Form
from issuer.web.rates import Rate

FIELDS: Final = ("day", "month", "year", "code")
# Four tries at once, and one more every ten minutes: nobody guesses a day of a year in half an hour.
TRIES: Final = Rate("proof", seconds=600, burst=4)


def is_needed(guest: Guest) -> bool:
    """Whether the visit was opened with less than a letter's code and the last day."""
    return guest.visit.key.channel is not Channel.LETTER


def check(session: Session, guest: Guest, form: Form) -> None:
    """Note an error in ``form`` unless its day or its code proves who it is, in a writing transaction.

    The caller must commit also what was wrong: that try counts.
    """
    if not is_needed(guest):
        return
    application, visit = guest.application, guest.visit
    who = f"{visit.type_id}/{visit.number}"
    if not rates.is_free(session, application, TRIES, who):
        form.errors["day"] = "HOLDER_PROOF_TOO_OFTEN"
        return
    if form.values["code"]:
        code = read_code(form.values["code"])
        right = bool(code) and confirm_code(session, application, visit.type_id, visit.number, code)
        field, error = "code", "HOLDER_PROOF_CODE"
    else:
        day = form.last_day()
        if day is None:
            return
        right = day == guest.held.content.period.last
        field, error = "day", "HOLDER_PROOF_DAY"
    if not right:
        rates.take(session, application, TRIES, who)
        form.errors[field] = error
