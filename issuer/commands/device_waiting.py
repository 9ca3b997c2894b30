"""``devices invite --wait``: staying until the device is there, and letting it in by the digits that it shows."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

from issuer.application import Application
from issuer.commands.common import actor, warn
from issuer.device_enrolment import Invitation, confirm_device
from issuer.errors import IssuerRefusal
from issuer.verifier_devices import DeviceState, find_device, state_of
from keys.errors import Refusal
from passes.periods import BERLIN

POLL_SECONDS: Final = 1.0
_DIGITS: Final = re.compile(r"[0-9]{3} ?[0-9]{3}")
_LONGEST_LINE: Final = 200
# What sends the cursor back and clears what a longer line has left.
_ANEW: Final = "\r\033[K"

Say = Callable[..., str]


def running_clock(start: datetime) -> Callable[[], datetime]:
    """A clock that shows the aware time ``start`` now and goes on from there, whatever the system's is set to."""
    begun = time.monotonic()
    zero = start.timestamp() - begun
    return lambda: datetime.fromtimestamp(zero + time.monotonic(), start.tzinfo)


def wait_and_confirm(application: Application, made: Invitation, say: Say, language: str) -> None:
    """Wait until a device has taken up ``made``, ask for its six digits on standard input, and let it in.

    ``application`` has a running clock. Returns too where somebody else has let it in. Raises IssuerRefusal
    DEVICE_NOT_COME when the invitation's time is over, DEVICE_UNKNOWN when its row has gone or the time for
    confirming is over, CHECK_CODE_WRONG after the third wrong try, DEVICE_NOT_PENDING for a locked one, and
    DEVICE_LEFT_OPEN where standard input ends. KeyboardInterrupt passes through, after the same sentence.
    """
    try:
        if _wait(application, made, say) is DeviceState.PENDING:
            _confirm(application, made.id, say, language)
    except KeyboardInterrupt:
        warn("\n" + say("DEVICE_LEFT_OPEN", id=made.id))
        raise


def pause() -> None:
    """Between two looks at the register."""
    time.sleep(POLL_SECONDS)


def _wait(application: Application, made: Invitation, say: Say) -> DeviceState:
    shown = sys.stderr.isatty()
    if not shown:
        until = made.expires_at.astimezone(BERLIN).strftime("%H:%M")
        warn(say("DEVICE_AWAITED_UNTIL", until=until))
    try:
        while (state := _state(application, made)) is DeviceState.INVITED:
            if shown:
                left = max(0, int((made.expires_at - application.now()).total_seconds()))
                sys.stderr.write(_ANEW + say("DEVICE_AWAITED", left=f"{left // 60}:{left % 60:02d}"))
                sys.stderr.flush()
            pause()
    finally:
        if shown:
            sys.stderr.write(_ANEW)
    if state is DeviceState.LOCKED:
        raise IssuerRefusal("DEVICE_NOT_PENDING", id=made.id)
    return state


def _state(application: Application, made: Invitation) -> DeviceState:
    with application.reading() as session:
        try:
            return state_of(find_device(session, application.tenant, made.id, application.now()))
        except IssuerRefusal as refusal:
            if application.now() < made.expires_at:
                raise
            raise IssuerRefusal("DEVICE_NOT_COME") from refusal


def _confirm(application: Application, device_id: str, say: Say, language: str) -> None:
    while True:
        digits = _asked(device_id, say)
        try:
            confirm_device(application, device_id, digits, actor=actor())
        except Refusal as refusal:
            if refusal.code != "CHECK_CODE_WRONG" or not refusal.params["left"]:
                raise
            warn(refusal.sentence(language))
        else:
            return


def _asked(device_id: str, say: Say) -> str:
    """Six digits; what is none is asked for again, and is no try."""
    while True:
        sys.stderr.write(say("DEVICE_DIGITS") + " ")
        sys.stderr.flush()
        line = sys.stdin.readline(_LONGEST_LINE)
        if not line:
            warn("")
            raise IssuerRefusal("DEVICE_LEFT_OPEN", id=device_id)
        if _DIGITS.fullmatch(line.strip()):
            return line.strip()
