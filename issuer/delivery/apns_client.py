"""Apple's push service over one kept HTTP/2 connection per certificate or key.

All connections live in one thread with an event loop of its own, so that the pushes of a task, and of several tasks
at once, share a connection: Apple takes many small connections for an attack. Who pushes waits in their own thread.

Protocol: developer.apple.com, "Sending notification requests to APNs" and "Handling notification responses from
APNs". A wallet needs an empty JSON object as payload and the pass type identifier as topic.
"""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
import threading
from base64 import urlsafe_b64encode
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import httpx
import msgspec

from keys.store import Signer

PAYLOAD: Final = b"{}"
# As many streams as the HTTP/2 library opens on one connection; more would only wait in its queue.
STREAMS: Final = 100
# Apple refuses tokens older than an hour, and new ones within 20 minutes.
TOKEN_LIFETIME: Final = timedelta(minutes=40)

_LONGEST_ANSWER: Final = 4096
_LONGEST_WAIT_SECONDS: Final = 86400
_REASON: Final = re.compile(r"[A-Za-z]{1,60}")
_SECONDS: Final = re.compile(r"[0-9]{1,6}")
# The server, or something between, hung up: the connection was old, or the server goes away.
_HUNG_UP: Final = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError, httpx.CloseError)
# It writes down the path of every request at debug level, and the path holds the push token.
logging.getLogger("hpack").setLevel(logging.WARNING)

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one push: Apple's status and reason, or status 0 and ours if there was no answer.

    ``gone_since`` (aware) is when Apple last knew the token to be invalid, ``retry_after`` is in seconds.
    """

    status: int
    reason: str = ""
    gone_since: datetime | None = None
    retry_after: float | None = None


class ProviderToken:
    """Tokens that prove a team's key to Apple (JWT, ES256), each used for 40 minutes."""

    def __init__(self, signer: Signer, key_id: str, team: str) -> None:
        self._signer = signer
        self._head = _segment({"alg": "ES256", "kid": key_id})
        self._team = team
        self._lock = threading.Lock()
        self._made: tuple[datetime, str] | None = None

    def at(self, now: datetime) -> str:
        """The token to use at ``now`` (aware). Raises KeyRefusal if the key does not answer."""
        with self._lock:
            if self._made is None or abs(now - self._made[0]) >= TOKEN_LIFETIME:
                claims = _segment({"iss": self._team, "iat": int(now.timestamp())})
                signed = f"{self._head}.{claims}"
                signature = urlsafe_b64encode(self._signer.sign(signed.encode())).rstrip(b"=")
                self._made = (now, f"{signed}.{signature.decode()}")
            return self._made[1]


class ApnsClient:
    """Pushes for one ``topic`` (pass type identifier) at ``url``, as whoever ``context`` or ``token`` proves.

    Safe to use from several threads.
    """

    def __init__(
        self,
        url: str,
        topic: str,
        context: ssl.SSLContext,
        timeout: float,
        token: ProviderToken | None = None,
    ) -> None:
        self._url = url.rstrip("/")
        self._headers = {"apns-topic": topic, "apns-push-type": "background", "apns-priority": "5"}
        self._timeout = timeout
        self._token = token
        self._transport = httpx.AsyncHTTPTransport(
            verify=context,
            http1=False,
            http2=True,
            # One is used; another is there while a broken or closing one still ends.
            limits=httpx.Limits(max_connections=8, max_keepalive_connections=1, keepalive_expiry=3600),
        )
        self._free = asyncio.Semaphore(STREAMS)

    def push_all(self, push_tokens: Sequence[str], now: datetime) -> list[Answer]:
        """Push to each of ``push_tokens`` (hex); the answers are in the same order.

        ``now`` (aware) dates the provider's token. Raises KeyRefusal if that cannot be signed.
        """
        headers = self._headers
        if self._token is not None:
            headers = {**headers, "authorization": f"bearer {self._token.at(now)}"}
        return _in_loop(self._push_all(push_tokens, headers))

    def close(self) -> None:
        """Close the connection; pushes under way fail."""
        _in_loop(self._transport.aclose())

    async def _push_all(self, push_tokens: Sequence[str], headers: Mapping[str, str]) -> list[Answer]:
        return await asyncio.gather(*(self._push(one, headers) for one in push_tokens))

    async def _push(self, push_token: str, headers: Mapping[str, str]) -> Answer:
        async with self._free:
            try:
                try:
                    return await self._ask(push_token, headers)
                except _HUNG_UP:
                    # Nearly always the kept connection had ended, and a new one will do.
                    return await self._ask(push_token, headers)
            except (httpx.TimeoutException, TimeoutError):
                return Answer(0, "Timeout")
            except Exception as fault:
                # Whatever breaks in one stream, the others go on.
                return Answer(0, type(fault).__name__)

    async def _ask(self, push_token: str, headers: Mapping[str, str]) -> Answer:
        extensions = {"timeout": httpx.Timeout(self._timeout, pool=None).as_dict()}
        # No client around the transport: it would write the address, and so the push token, into the log.
        request = httpx.Request(
            "POST",
            f"{self._url}/3/device/{push_token}",
            headers=headers,
            content=PAYLOAD,
            extensions=extensions,
        )
        async with asyncio.timeout(self._timeout):
            response = await self._transport.handle_async_request(request)
            try:
                content = b""
                if response.status_code != httpx.codes.OK:
                    async for part in response.aiter_raw():
                        content += part
                        if len(content) > _LONGEST_ANSWER:
                            break
            finally:
                await response.aclose()
        return _answer(response.status_code, content, response.headers.get("retry-after", ""))


class _Told(msgspec.Struct):
    reason: str = ""
    timestamp: int | None = None


def _answer(status: int, content: bytes, retry_after: str) -> Answer:
    told = _Told()
    if content:
        try:
            told = msgspec.json.decode(content, type=_Told)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            told = _Told("Unreadable")
    # It goes into logs and metrics: words of Apple's only.
    reason = told.reason if _REASON.fullmatch(told.reason) else ""
    seconds = float(retry_after) if _SECONDS.fullmatch(retry_after) else None
    return Answer(
        status,
        reason,
        _moment(told.timestamp),
        min(seconds, _LONGEST_WAIT_SECONDS) if seconds is not None else None,
    )


def _moment(milliseconds: int | None) -> datetime | None:
    if milliseconds is None:
        return None
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, OSError, ValueError):
        return None


def _segment(content: Mapping[str, str | int]) -> str:
    return urlsafe_b64encode(msgspec.json.encode(content)).rstrip(b"=").decode()


_starting = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_thread: threading.Thread | None = None


def _in_loop(work: Coroutine[Any, Any, _T]) -> _T:
    global _loop, _thread  # noqa: PLW0603 - one thread for all connections of the process
    with _starting:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            _thread = threading.Thread(target=_loop.run_forever, name="stadtpass-apns", daemon=True)
            _thread.start()
        loop = _loop
    return asyncio.run_coroutine_threadsafe(work, loop).result()


def stop() -> None:
    """End the thread with its connections, which must have been closed; the next push starts another."""
    global _loop, _thread
    with _starting:
        loop, thread, _loop, _thread = _loop, _thread, None, None
    if loop is not None and thread is not None:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
