"""The question to stop, which may come at any time: also before there is anything to stop."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Protocol


class Server(Protocol):
    """What a web server has to be told with."""

    should_exit: bool


class Stop:
    """Whether SIGTERM or SIGINT has asked the process to stop; they are heard from the moment this exists.

    To be made in the main thread.
    """

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._server: Server | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    @property
    def asked(self) -> bool:
        """Whether somebody has asked already."""
        return self._asked.is_set()

    def tell(self, server: Server) -> None:
        """Let ``server`` know as well, also when the question came before it was there."""
        self._server = server
        if self._asked.is_set():
            server.should_exit = True

    def wait(self) -> None:
        """Wait until somebody asks."""
        # In slices: on some systems a signal does not wake a thread that waits without end.
        while not self._asked.wait(0.5):
            pass

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self._asked.set()
        if self._server is not None:
            self._server.should_exit = True
