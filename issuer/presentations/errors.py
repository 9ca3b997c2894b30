"""Why an answer does not count although its credential may hold."""

from __future__ import annotations

from issuer.errors import IssuerRefusal


class AnswerRefused(IssuerRefusal):
    """An answer that is not what was asked for.

    Codes: PRESENTATION_NOT_ASKED (more was shown), PRESENTATION_INCOMPLETE, PRESENTATION_DECLINED (by the holder, or
    there is no fitting credential), PRESENTATION_WALLET with the error that the wallet has sent.
    """
