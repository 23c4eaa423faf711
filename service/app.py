"""The application: routes, problems and the backends that live as long as it does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache

from fastapi import FastAPI

from service import artifacts, health, jobs, pages, sweeps, uploads, webhooks, workers
from service.backends import Backends
from service.envelope import Envelope
from service.head import AnswersHead
from service.openapi import complete_document
from service.origin import OwnOriginOnly
from service.problems import add_problem_handlers
from storage import Settings
from storage.settings import read_settings


def create_app(settings: Settings | None = None) -> FastAPI:
    """Builds the app; nothing is opened before it starts.

    Args:
        settings: of this installation; without them the environment decides.

    Raises:
        SettingUnusable: the environment has a value that cannot be used.
    """
    chosen = read_settings(Settings) if settings is None else settings

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with Backends.opened(chosen) as backends:
            app.state.backends = backends
            yield

    app = FastAPI(
        title="Sterna",
        version="1",
        description="Ternary networks with exactly the sparsity asked for.",
        lifespan=lifespan,
        redirect_slashes=False,
        # Their pages load scripts from elsewhere; `/docs` is a view of our own page (service/pages.py).
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(OwnOriginOnly, allowed_hosts=chosen.allowed_hosts)
    app.add_middleware(Envelope)
    routers = (
        jobs.polled,
        jobs.router,
        uploads.router,
        artifacts.router,
        sweeps.router,
        webhooks.router,
        workers.router,
        health.router,
        pages.router,
    )
    app.add_middleware(AnswersHead, routers=routers)
    add_problem_handlers(app, routers=routers)
    # Their routes themselves: a router that is included is asked at each request whether it has changed.
    for router in routers:
        app.router.routes.extend(router.routes)
    # Made when it is first asked for, and the same from then on.
    app.openapi = cache(lambda: complete_document(app))  # type: ignore[method-assign]
    return app
