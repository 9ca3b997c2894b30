"""Load on an HTTP server over kept connections: requests per second, and nothing of the client's own in the way.

Each connection sends its next request when the last answer is there. Bytes are made before the clock starts;
answers are read by their Content-Length and only their status is looked at.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class Load:
    """What came of a run: requests per second, and how often each status was answered."""

    per_second: float
    statuses: Counter[int] = field(default_factory=Counter)

    def only(self, *expected: int) -> Load:
        """This, if every answer had one of the statuses ``expected``."""
        if set(self.statuses) - set(expected):
            raise RuntimeError(f"answers {dict(self.statuses)}, expected {expected}")
        return self


def request(method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b"") -> bytes:
    """The bytes of one HTTP/1.1 request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: bench", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def run(port: int, requests: Iterable[bytes], connections: int = 16) -> Load:
    """Send all ``requests`` to 127.0.0.1:``port`` over ``connections`` connections."""
    waiting = list(requests)
    statuses: Counter[int] = Counter()
    started = time.perf_counter()
    asyncio.run(_all(port, iter(waiting), connections, statuses))
    return Load(len(waiting) / (time.perf_counter() - started), statuses)


async def _all(port: int, waiting: Iterator[bytes], connections: int, statuses: Counter[int]) -> None:
    await asyncio.gather(*(_connection(port, waiting, statuses) for _ in range(connections)))


async def _connection(port: int, waiting: Iterator[bytes], statuses: Counter[int]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for one in waiting:
        writer.write(one)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        status = int(head[9:12])
        statuses[status] += 1
        if status not in (204, 304):
            length = head.split(b"content-length:", 1)
            if len(length) == 2:
                await reader.readexactly(int(length[1].split(b"\r\n", 1)[0]))
            elif b"transfer-encoding: chunked" in head:
                while (size := int(await reader.readuntil(b"\r\n"), 16)) or await reader.readuntil(b"\r\n"):
                    await reader.readexactly(size + 2)
                    if not size:
                        break
    writer.close()
