"""Mails to holders."""

from __future__ import annotations

from issuer.background.tasks import Task

TASKS: tuple[Task, ...] = ()
