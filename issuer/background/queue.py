"""Enqueueing in the caller's transaction: committed with it, or never there.

The engine's tables come into being when the service is started for the first time. Before that there is nothing
to enqueue into, and nothing is lost: the rows of `issuer.models_delivery` say what is outstanding, and the sweep
that every worker runs at its start finds it.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Pool, inspect, select
from sqlalchemy.orm import Session

from issuer.models_delivery import WorkerRow

SCHEMA = "dbos"
# Databases, by their connection pools, that have the tables; asking again would cost queries for each change. The
# engine itself is no key: one with other execution options is another object.
_ready: WeakKeyDictionary[Pool, set[str]] = WeakKeyDictionary()


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
    if not is_ready(connection, tenant):
        return False
    from issuer.background import engine  # noqa: PLC0415 - loading dbos costs a second, commands need it rarely

    engine.enqueue(session, tenant, task, payload, delay_seconds=delay_seconds, once=once)
    return True


def is_ready(connection: Connection, tenant: str) -> bool:
    """Whether a worker of ``tenant`` has been at work in this database, so that the engine's tables are complete.

    The tables alone say nothing: at the first start another process may still be making them.
    """
    known = _ready.setdefault(connection.engine.pool, set())
    if tenant in known:
        return True
    schema = None if connection.dialect.name == "sqlite" else SCHEMA
    if not inspect(connection).has_table("workflow_status", schema=schema):
        return False
    found = connection.execute(select(WorkerRow.executor_id).where(WorkerRow.tenant == tenant).limit(1))
    if found.first() is None:
        return False
    known.add(tenant)
    return True
