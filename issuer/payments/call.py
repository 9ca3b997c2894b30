"""One call of a payment provider's interface, bounded as every call of ours (`issuer.bounded_http`)."""

from __future__ import annotations

from collections.abc import Mapping

from issuer import bounded_http
from issuer.bounded_http import Answer, CallFailed
from issuer.payments.provider import ProviderUnavailable


def call(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    content: bytes | None,
    ca_file: str,
    seconds: float,
) -> Answer:
    """Send one request and read its answer, all within ``seconds``.

    Raises ProviderUnavailable with ``timeout``, ``connection``, ``certificate`` or ``answer-size``.
    """
    try:
        return bounded_http.call(
            method, url, headers=headers, content=content, ca_file=ca_file, seconds=seconds
        )
    except CallFailed as fault:
        raise ProviderUnavailable(fault.reason) from fault
