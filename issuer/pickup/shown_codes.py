"""The codes of a pass for the readers of a library, to be held under them: two kinds, both on the holder's page."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from litestar import Response, get
from litestar.params import FromQuery

from issuer.pickup.guests import guest_of
from issuer.pickup.standing import HeldPass
from issuer.web.reader import AnyRequest
from passes.card_codes import card_code_svg, shown_symbology
from passes.card_numbers import Symbology
from passes.model import MainCode
from passes.qr import qr_svg

PATH: Final = "/p/pass/show"
_CONFLICT: Final = 409


@dataclass(frozen=True, slots=True)
class ShownCode:
    """One code: pictures as addresses that hold them, with light ground and quiet zones.

    ``upright`` is the same code turned by a quarter, for bars on a phone held upright; empty for squares.
    """

    which: MainCode
    picture: str
    upright: str = ""


def shown_codes(held: HeldPass) -> tuple[ShownCode, ...]:
    """Both codes of a pass that holds, the one that the wallets show first; none for types with a seal alone."""
    card = held.card
    if card is None or not held.pass_type.has_number_code or not held.is_offered:
        return ()
    bars = shown_symbology(card) is not Symbology.QR
    number = ShownCode(
        MainCode.NUMBER,
        _address(card_code_svg(card)),
        _address(card_code_svg(card, upright=True)) if bars else "",
    )
    seal = ShownCode(MainCode.SEAL, _address(qr_svg(held.content.seal)))
    return (seal, number) if held.city.library_main_code is MainCode.SEAL else (number, seal)


@get(PATH, sync_to_thread=True)
def show_code(request: AnyRequest, code: FromQuery[str] = "") -> Response[Any]:
    """One code as large as the screen allows, with the number in words; without ``code`` the main one."""
    guest = guest_of(request)
    codes = shown_codes(guest.held)
    if not codes:
        return guest.reader.problem(_CONFLICT, "NOT_OFFERED")
    wanted, second = first_and_second(codes, code)
    return guest.page("show.html", code=wanted, second=second, card=guest.held.card, here=PATH)


def first_and_second(codes: Sequence[ShownCode], which: str) -> tuple[ShownCode, ShownCode]:
    """The code asked for (without one, or for any other word, the main one), and the other one of the two."""
    wanted = next((one for one in codes if one.which == which), codes[0])
    return wanted, next(one for one in codes if one is not wanted)


def _address(svg: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


HANDLERS: Final = [show_code]
