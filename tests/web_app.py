"""The web application for tests: the routes are assembled once in a process, as they are the same for every city."""

from __future__ import annotations

from copy import copy
from functools import cache

from litestar import Litestar
from litestar.events import SimpleEventEmitter

from issuer.application import Application
from issuer.background.worker import Worker
from issuer.web.app import routed, serve_tenant

_routed = cache(routed)


def create_app(application: Application, worker: Worker | None = None) -> Litestar:
    """As `issuer.web.app.create_app`; whoever registers further routes takes that one."""
    app = copy(_routed())
    # Beginning and ending are each application's own, also of two that run at the same time.
    app.event_emitter = SimpleEventEmitter([])
    app.asgi_router = copy(app.asgi_router)
    app.asgi_router.app = app
    serve_tenant(app, application, worker)
    return app
