"""One bounded HTTP call, over at its deadline whatever the other side, the name server and the network do.

Time-outs of the HTTP library count anew for every read, and none covers the look-up of a name; so the call runs
beside the caller, who waits for one span. Redirects are never followed.
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

LARGEST_ANSWER: Final = 256 * 1024
_PIECE: Final = 16 * 1024
# What is compressed is not unpacked: a few bytes of it can fill the memory before anybody counts.
_OURS: Final = {"User-Agent": "stadtpass", "Accept-Encoding": "identity"}


class CallFailed(Exception):
    """No answer came. ``reason`` is ``timeout``, ``connection``, ``certificate`` or ``answer-size``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: never a redirect that was followed."""

    status: int
    body: bytes
    content_type: str = ""


def call(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    content: bytes | None,
    ca_file: str,
    seconds: float,
    largest: int = LARGEST_ANSWER,
) -> Answer:
    """Send one request and read its answer of at most ``largest`` bytes, all within ``seconds``.

    Raises CallFailed.
    """
    end = time.monotonic() + seconds
    outcome: Future[Answer] = Future()

    def run() -> None:
        try:
            outcome.set_result(_call(method, url, headers, content, ca_file, end, largest))
        except BaseException as fault:
            outcome.set_exception(fault)

    # No pool's thread: the end of the process would wait for a name server that says nothing.
    threading.Thread(target=run, name="bounded-call", daemon=True).start()
    try:
        return outcome.result(seconds)
    except TimeoutError:
        raise CallFailed("timeout") from None
    except httpx.TimeoutException as fault:
        raise CallFailed("timeout") from fault
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as fault:
        raise CallFailed("certificate" if _is_certificate(fault) else "connection") from fault


def _call(
    method: str,
    url: str,
    headers: Mapping[str, str],
    content: bytes | None,
    ca_file: str,
    end: float,
    largest: int,
) -> Answer:
    left = max(0.01, end - time.monotonic())
    with (
        httpx.Client(verify=_context(ca_file), timeout=left) as client,
        client.stream(method, url, headers={**_OURS, **headers}, content=content) as response,
    ):
        data = bytearray()
        for piece in response.iter_raw(_PIECE):
            data += piece
            if len(data) > largest:
                raise CallFailed("answer-size")
            if time.monotonic() > end:
                raise CallFailed("timeout")
        return Answer(response.status_code, bytes(data), response.headers.get("content-type", ""))


def _is_certificate(fault: BaseException | None) -> bool:
    """Whether the other side's certificate is behind ``fault``."""
    while fault is not None:
        if isinstance(fault, ssl.SSLCertVerificationError):
            return True
        fault = fault.__cause__ or fault.__context__
    return False


@lru_cache(maxsize=4)
def _context(ca_file: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file or None)
