"""The carriers of a pass as files, for printing and handing over at the counter."""

from __future__ import annotations

from typing import Annotated, Final

from litestar import Response, get
from litestar.params import FromPath, PathParameter
from litestar.types import ControllerRouterHandler

from issuer import wallet_passes
from issuer.api.auth import ApiRequest, application_of, demand, require
from issuer.api.documentation import documented
from issuer.api.pass_answers import pass_type_of
from issuer.api.pass_examples import NUMBER, UNKNOWN
from issuer.api.scopes import Scope
from issuer.carriers import Carrier, carriers_of
from issuer.errors import RegisterRefusal
from issuer.prints import print_of
from issuer.register import load_contents
from issuer.residence.certificates import names_person
from issuer.web.problems import problem
from passes.card_codes import card_code_png, card_code_svg
from passes.model import PassStatus
from passes.qr import qr_png

# The code of the card number is a part of the print: only a pass that holds has it.
_FILES: Final = {
    "apple": Carrier.APPLE, "pdf": Carrier.PDF, "seal.png": Carrier.SEAL, "number.png": Carrier.PDF,
    "number.svg": Carrier.PDF,
}  # fmt: skip
_NUMBER: Final = ("number.png", "number.svg")
# Beside passes:read: the letter has name and address; with the token in a pass, one can act as its wallet.
_ALSO_NEEDED: Final = {"apple": Scope.PASSES_WRITE, "pdf": Scope.HOLDERS_READ}
_TYPES: Final = {
    "apple": ("application/vnd.apple.pkpass", ".pkpass"),
    "pdf": ("application/pdf", ".pdf"),
    "seal.png": ("image/png", ".png"),
    "number.png": ("image/png", ".number.png"),
    "number.svg": ("image/svg+xml", ".number.svg"),
}


@get(
    "/passes/{type_id:str}/{number:str}/files/{name:str}",
    sync_to_thread=True,
    guards=[require(Scope.PASSES_READ)],
    opt={"produces": ("application/vnd.apple.pkpass", "application/pdf", "image/png", "image/svg+xml")},
    operation_id="getPassFile",
    tags=["Passes"],
    summary="Fetch a file of a pass",
    description=(
        "`apple` is the signed pass, which holds the secret of wallets: it needs `passes:write` as well. `pdf` is "
        "the print, which names holder and address: it needs `holders:read` as well; a certificate has the city's "
        "electronic seal (PAdES) where it has a key for that. `seal.png` is the QR code of the seal (of a "
        "certificate of residence, which names the person, with `holders:read`, and never `apple`); `number.png` "
        "and `number.svg` are the code of the card number in its symbology, for "
        "types that have one. A pass that does not hold has its seal only, one that is not paid for has nothing."
    ),
    responses=documented(
        None,
        UNKNOWN,
        problem(404, "FILE_UNKNOWN"),
        problem(409, "FILE_NOT_OF_STATUS", number=NUMBER),
        RegisterRefusal("PASS_UNPAID", number=NUMBER),
    ),
)
def get_file(
    request: ApiRequest,
    type_id: FromPath[str],
    number: FromPath[str],
    name: Annotated[str, PathParameter(description="apple, pdf, seal.png, number.png or number.svg")],
) -> Response[bytes]:
    """One carrier of the current revision."""
    application = application_of(request)
    if name not in _FILES:
        raise problem(404, "FILE_UNKNOWN")
    if name in _ALSO_NEEDED:
        demand(request.user, _ALSO_NEEDED[name])
    pass_type = pass_type_of(application, type_id)
    if _FILES[name].value not in pass_type.carriers:
        raise problem(404, "FILE_UNKNOWN")
    if names_person(pass_type):
        # Also the code says who somebody is and where they live.
        demand(request.user, Scope.HOLDERS_READ)
    with application.reading() as session:
        content = next(load_contents(session, application.tenant, pass_type, [number]), None)
        if content is None:
            raise RegisterRefusal("NUMBER_UNKNOWN", number=number[:40])
        if content.status is PassStatus.PENDING_PAYMENT:
            raise RegisterRefusal("PASS_UNPAID", number=number)
        if not carriers_of(content.status, [_FILES[name]]):
            raise problem(409, "FILE_NOT_OF_STATUS", number=number)
        wallet = wallet_passes.find(application, session, content.serial) if name == "apple" else None
        city = application.settings(session).city(application.tenant)
        data = b"" if wallet is None else wallet_passes.apple_pass(application, session, wallet)
    if name == "seal.png":
        data = qr_png(content.seal)
    elif name in _NUMBER:
        card = pass_type.card_of(content) if pass_type.has_number_code else None
        if card is None:
            raise problem(404, "FILE_UNKNOWN")
        data = card_code_png(card) if name == "number.png" else card_code_svg(card).encode()
    elif name == "pdf":
        data = print_of(application, pass_type, [content], city, content.language)
    media_type, suffix = _TYPES[name]
    headers = {
        "Cache-Control": "no-store",
        "Content-Disposition": f'attachment; filename="{content.number}{suffix}"',
    }
    return Response(data, media_type=media_type, headers=headers)


HANDLERS: list[ControllerRouterHandler] = [get_file]
