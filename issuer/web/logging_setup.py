"""Logs of the service on standard error: one JSON object a line, or readable on a terminal.

Everything goes through here: our own lines, the web server's, the database's and the task engine's. Whatever could
be a secret or say something about a person is taken out on the way, as a second line of defence: nobody should
have written it in the first place. Of an exception only its kind and the places in the code are kept, since its
text may hold what a query asked for.
"""

from __future__ import annotations

import logging
import re
import signal
import sys
import traceback
from collections.abc import Callable, MutableMapping
from typing import Any, Final, TextIO

import structlog

_SECRET_KEYS: Final = re.compile(
    r"(?i)token|secret|passphrase|password|authorization|cookie|api_?key|serial|plate|e?mail$|address|recipient"
    r"|holder|family|given|street|client_ip"
)
# Values that show themselves wherever they stand.
_SECRET_VALUES: Final = re.compile(
    r"(?i)\b(?:bearer|applepass|basic)\s+[A-Za-z0-9._~+/=-]{8,}"
    r"|\bsp[a-z]_[A-Za-z0-9_-]{8,}"
    r"|(?<=/p/l/)[A-Za-z0-9_-]+"
    r"|(?<=/device/)[0-9a-fA-F]{16,}"
    r"|\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"
    r"|[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+"
)
REDACTED: Final = "[...]"
# Libraries that write addresses with tokens at their usual level, or too much.
_AT_MOST_WARNING: Final = ("httpx", "httpcore", "hpack", "h2", "urllib3", "asyncio", "alembic", "dbos", "PIL")
_LOUD: Final = ("uvicorn", "uvicorn.error", "uvicorn.access", "dbos", "dbos._logger")

_Event = MutableMapping[str, Any]


def configure(level: str, stream: TextIO | None = None) -> None:
    """Send all logs to ``stream`` (standard error), from ``debug``, ``info``, ``warning`` or ``error`` on."""
    stream = stream or sys.stderr
    shared: list[Callable[[Any, str, _Event], Any]] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_texts_of_faults,
        redact,
    ]
    renderer: Any = (
        structlog.dev.ConsoleRenderer()
        if stream.isatty()
        else structlog.processors.JSONRenderer(sort_keys=True, ensure_ascii=False)
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    for old in list(root.handlers):
        if isinstance(old.formatter, structlog.stdlib.ProcessorFormatter):
            root.removeHandler(old)
    root.addHandler(handler)
    logging.captureWarnings(capture=True)
    set_level(level)
    tame()


def set_level(level: str) -> None:
    """From now on, log from ``level`` on."""
    logging.getLogger().setLevel(level.upper())
    for name in _AT_MOST_WARNING:
        logging.getLogger(name).setLevel(logging.WARNING)
    # Of the server's own lines, those about starting and stopping repeat ours.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)


def switch_on_signal(level: str) -> None:
    """Let SIGUSR1 switch between ``level`` and debug while the service runs. Main thread only."""

    def switch(_number: int, _frame: object) -> None:
        set_level(level if logging.getLogger().level == logging.DEBUG else "debug")

    signal.signal(signal.SIGUSR1, switch)


def tame() -> None:
    """Take away handlers that libraries have given their own loggers: their lines go the common way."""
    for name in _LOUD:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


def redact(_logger: Any, _method: str, event: _Event) -> _Event:
    """Take out what has the name of a secret or of something personal, or looks like a secret."""
    for key, value in list(event.items()):
        if _SECRET_KEYS.search(key):
            event[key] = REDACTED
        elif isinstance(value, str):
            event[key] = _SECRET_VALUES.sub(REDACTED, value)
        elif not isinstance(value, bool | int | float | None) and not key.startswith("_"):
            event[key] = _SECRET_VALUES.sub(REDACTED, str(value))
    return event


def _without_texts_of_faults(_logger: Any, _method: str, event: _Event) -> _Event:
    found = event.pop("exc_info", None)
    fault = sys.exc_info()[1] if found is True else found[1] if isinstance(found, tuple) else found
    if isinstance(fault, BaseException):
        event["fault"] = type(fault).__name__
        event["trace"] = "".join(traceback.format_tb(fault.__traceback__))
    return event
