"""What a background task is: a name, a queue, and a function that can be run again at any time.

A task may run twice for the same payload (a worker died after its work and before it could say so), and it may
run late. So a task looks at what is so now, does what is still missing, and says nothing twice that matters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from issuer.application import Application

Json = dict[str, Any]


class Queue(StrEnum):
    """Where tasks wait; each queue has its own width, so that nothing slow holds up a push.

    A webhook receiver that hangs keeps its own queue waiting and no other.
    """

    DELIVERY = "delivery"
    GOOGLE = "google"
    MAIL = "mail"
    WEBHOOKS = "webhooks"
    JOBS = "jobs"
    PAYMENTS = "payments"
    IMPORTS = "imports"
    LIBRARY = "library"


class RetryLater(Exception):
    """Not done, but will be: try again in ``seconds``, or after the usual back-off if None.

    ``reason`` stands in logs and metrics: a short code, nothing about a person.
    """

    def __init__(self, reason: str, seconds: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Task:
    """A kind of work. After ``patience`` of failing, ``give_up`` is called once instead of another try."""

    name: str
    queue: Queue
    run: Callable[[Application, Json], None]
    patience: timedelta = timedelta(days=3)
    give_up: Callable[[Application, Json], None] | None = None


def all_tasks() -> Mapping[str, Task]:
    """Every task of the service by its name."""
    from issuer.api import jobs  # noqa: PLC0415 - tasks import what may enqueue tasks
    from issuer.delivery import apple_push, google_objects, mail, webhooks  # noqa: PLC0415
    from issuer.importing import run_work as imports  # noqa: PLC0415
    from issuer.library import refresh_task  # noqa: PLC0415
    from issuer.nightly import run as nightly  # noqa: PLC0415
    from issuer.payments import reconcile  # noqa: PLC0415
    from issuer.printing import making  # noqa: PLC0415

    tasks = (
        *apple_push.TASKS,
        *google_objects.TASKS,
        *mail.TASKS,
        *webhooks.TASKS,
        *jobs.TASKS,
        *nightly.TASKS,
        *reconcile.TASKS,
        *imports.TASKS,
        *refresh_task.TASKS,
        *making.TASKS,
    )
    return {task.name: task for task in tasks}
