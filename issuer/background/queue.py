"""Enqueueing in the caller's transaction: committed with it, or never there.

The engine's tables come into being when the service is started for the first time. Before that there is nothing
to enqueue into, and nothing is lost: the rows of `issuer.models_delivery` say what is outstanding, and the sweep
that every worker runs at its start finds it.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

from sqlalchemy import Connection, Engine, inspect
from sqlalchemy.orm import Session

SCHEMA = "dbos"
# Engines whose database has the tables; asking again would cost a query for each change.
_ready: WeakSet[Engine] = WeakSet()


def enqueue(
    session: Session,
    tenant: str,
    task: str,
    payload: dict[str, Any],
    *,
    delay_seconds: float = 0,
    once: str = "",
) -> bool:
    """Queue ``task`` with a JSON ``payload`` as part of the caller's writing transaction.

    Of several calls with the same ``once`` only the first has an effect, for as long as its trace is kept.

    Returns whether there is a queue already; see the module's text for why False needs no care.
    """
    connection = session.connection()
    if not is_ready(connection):
        return False
    from issuer.background import engine  # noqa: PLC0415 - loading dbos costs a second, commands need it rarely

    engine.enqueue(session, tenant, task, payload, delay_seconds=delay_seconds, once=once)
    return True


def is_ready(connection: Connection) -> bool:
    """Whether the engine's tables are in the database."""
    if connection.engine in _ready:
        return True
    schema = None if connection.dialect.name == "sqlite" else SCHEMA
    found = inspect(connection).has_table("workflow_status", schema=schema)
    if found:
        _ready.add(connection.engine)
    return found
