"""Pushing to phones through Apple's push service."""

from __future__ import annotations

from issuer.background.tasks import Task

TASKS: tuple[Task, ...] = ()
