"""One call of a listed host, over at its deadline whatever receiver, name server and network do.

Time-outs of the HTTP library count anew for every read: an answer that drips in byte by byte would hold a worker for
as long as it likes. Here one span covers everything from looking the name up to the end of what is read.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import httpcore
import httpx

from issuer.webhook_targets import Address, Target, address_of


def post(
    target: Target, body: bytes, headers: Mapping[str, str], context: ssl.SSLContext, seconds: float
) -> httpx.Response:
    """Send ``body`` to ``target``; the answer has status and headers, its body is not read.

    Raises TimeoutError when ``seconds`` are over; IssuerRefusal WEBHOOK_ADDRESS as `address_of` does; any other
    OSError if the receiver cannot be reached, TLS fails or what it says is no HTTP.
    """
    with _answer("POST", target, body, headers, context, seconds) as answer:
        # Closed without reading the body: its length is the receiver's affair.
        return httpx.Response(answer.status, headers=answer.headers)


def get(
    target: Target, headers: Mapping[str, str], context: ssl.SSLContext, seconds: float, largest: int
) -> httpx.Response:
    """What ``target`` has, with a body of at most ``largest`` bytes as they came.

    Raises as `post`, and ConnectionError for a longer body.
    """
    with _answer("GET", target, b"", headers, context, seconds) as answer:
        data = bytearray()
        for piece in answer.iter_stream():
            data += piece
            if len(data) > largest:
                raise ConnectionError("answer-size")
        return httpx.Response(answer.status, headers=_plain(answer.headers), content=bytes(data))


@contextmanager
def _answer(
    method: str,
    target: Target,
    body: bytes,
    headers: Mapping[str, str],
    context: ssl.SSLContext,
    seconds: float,
) -> Iterator[httpcore.Response]:
    end = time.monotonic() + seconds
    # To the address that was checked, whatever the name says a moment later; TLS still asks for the name.
    url = httpcore.URL(
        scheme="https",
        host=str(_address(target, seconds)),
        port=target.port,
        target=httpx.URL(target.url).raw_path,
    )
    host = target.host if target.port == 443 else f"{target.host}:{target.port}"
    try:
        with (
            httpcore.ConnectionPool(ssl_context=context, network_backend=_Network(end)) as pool,
            pool.stream(
                method,
                url,
                headers=[("host", host), *headers.items()],
                content=body or None,
                extensions={"sni_hostname": target.host},
            ) as answer,
        ):
            yield answer
    except httpcore.TimeoutException as fault:
        raise TimeoutError from fault
    except (httpcore.NetworkError, httpcore.ProtocolError) as fault:
        raise ConnectionError(type(fault).__name__) from fault


def _plain(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Without what would make the body be unpacked: nobody has asked for that."""
    return [(name, value) for name, value in headers if name.lower() != b"content-encoding"]


def _address(target: Target, seconds: float) -> Address:
    found: Future[Address] = Future()

    def look_up() -> None:
        try:
            found.set_result(address_of(target))
        except Exception as fault:
            found.set_exception(fault)

    # No pool's thread: the end of the process would wait for a name server that says nothing.
    threading.Thread(target=look_up, name="webhook-name", daemon=True).start()
    return found.result(seconds)


class _Network(httpcore.NetworkBackend):
    """Connections on which nothing lasts longer than until ``end`` (seconds of time.monotonic)."""

    def __init__(self, end: float) -> None:
        self._end = end
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        timeout = _until(self._end, timeout)
        return _Stream(self._inner.connect_tcp(host, port, timeout, local_address, socket_options), self._end)


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, end: float) -> None:
        self._inner = inner
        self._end = end

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._left(timeout))

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, self._left(timeout)), self._end)

    def close(self) -> None:
        self._inner.close()

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)

    def _left(self, timeout: float | None) -> float:
        try:
            return _until(self._end, timeout)
        except httpcore.TimeoutException:
            # Before TLS nobody else would close it.
            self.close()
            raise


def _until(end: float, timeout: float | None) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout
    return left if timeout is None else min(left, timeout)
