"""Keeping Google's objects as the register has them."""

from __future__ import annotations

from issuer.background.tasks import Task

TASKS: tuple[Task, ...] = ()
