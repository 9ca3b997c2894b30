"""The seal of the pass as it is on every carrier: its bytes, and what each of them says."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get

from issuer.pickup.guests import guest_of
from issuer.seal_contents import contents_of
from issuer.web.reader import AnyRequest

_CONFLICT: Final = 409


@get("/p/pass/seal", sync_to_thread=True)
def show_seal(request: AnyRequest) -> Response[Any]:
    """The exact bytes behind the code, and the decoded content claim by claim in plain words."""
    guest = guest_of(request)
    held = guest.held
    if not held.content.seal:
        return guest.reader.problem(_CONFLICT, "NOT_OFFERED")
    with guest.application.reading() as session:
        contents = contents_of(
            session, guest.application.tenant, held.content.seal, [held.pass_type], guest.reader.say
        )
    return guest.page("seal.html", contents=contents)


HANDLERS: Final = [show_seal]
