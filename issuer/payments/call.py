"""One bounded call of a provider's interface, over at its deadline whatever provider, name server and network do.

Time-outs of the HTTP library count anew for every read, and none covers the look-up of a name; so the call runs
beside the caller, who waits for one span.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import httpx

from issuer.payments.provider import ProviderUnavailable

LARGEST_ANSWER: Final = 256 * 1024
_PIECE: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: never a redirect that was followed."""

    status: int
    body: bytes


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

    Raises ProviderUnavailable with ``timeout``, ``connection`` or ``answer-size``.
    """
    end = time.monotonic() + seconds
    outcome: Future[Answer] = Future()

    def run() -> None:
        try:
            outcome.set_result(_call(method, url, headers, content, ca_file, end))
        except BaseException as fault:
            outcome.set_exception(fault)

    # No pool's thread: the end of the process would wait for a name server that says nothing.
    threading.Thread(target=run, name="payment-call", daemon=True).start()
    try:
        return outcome.result(seconds)
    except TimeoutError:
        raise ProviderUnavailable("timeout") from None
    except httpx.TimeoutException as fault:
        raise ProviderUnavailable("timeout") from fault
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as fault:
        raise ProviderUnavailable("connection") from fault


def _call(
    method: str, url: str, headers: Mapping[str, str], content: bytes | None, ca_file: str, end: float
) -> Answer:
    left = max(0.01, end - time.monotonic())
    with (
        httpx.Client(verify=_context(ca_file), timeout=left) as client,
        client.stream(
            method, url, headers={"User-Agent": "stadtpass", **headers}, content=content
        ) as response,
    ):
        data = bytearray()
        for piece in response.iter_bytes(_PIECE):
            data += piece
            if len(data) > LARGEST_ANSWER:
                raise ProviderUnavailable("answer-size")
            if time.monotonic() > end:
                raise ProviderUnavailable("timeout")
        return Answer(response.status_code, bytes(data))


@lru_cache(maxsize=4)
def _context(ca_file: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file or None)
