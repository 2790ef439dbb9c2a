"""The application: one process of the API."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import anyio.to_thread
import structlog
from fastapi import FastAPI
from fastapi.routing import APIRoute
from sqlalchemy.pool import QueuePool

from db.migration import head_revision
from services.api.contract import build_openapi, list_operations
from services.api.errors import install_error_handlers
from services.api.middleware import API, RequestFrame
from services.api.ratelimit import RateLimiter
from services.api.recent_keys import RecentKeys
from services.api.routers import (
    administration,
    batch_localizations,
    bundles,
    cases,
    coordinate_conversions,
    degradations,
    die_maps,
    documentation,
    files,
    health,
    instrument_health,
    jobs,
    layouts,
    lifetimes,
    models,
    monitoring,
    operations,
    planned_probes,
    population_outliers,
    printabilities,
    records,
    repair_questions,
    repairs,
    report_schedules,
    reports,
    results,
    screenings,
    sessions,
    tables,
    trace_checks,
    unit_evidence,
    uploads,
    waveform_comparisons,
    waveform_views,
    waveforms,
    webhooks,
)
from services.api.state import ApiState
from services.api.uploads.digests import RunningDigests
from services.api.uploads.leftovers import sweep_leftovers
from services.api.uploads.reception import sweep_expired
from services.api.uploads.staging import Staging
from services.settings import Settings, get_settings
from services.stores import open_blobs, open_engine, open_reading_engine
from services.telemetry import configure_logging
from services.web import console
from services.web.stray_addresses import install_refusals
from services.workers.doorbell import Doorbell

log = structlog.get_logger(__name__)

FILE_THREADS = 4
_SWEEP_INTERVAL_S = 600.0
_RESOURCES = (
    waveforms, waveform_views, waveform_comparisons, uploads, jobs, bundles, files, sessions, planned_probes,
    records, tables, results, administration, instrument_health, layouts, lifetimes, models, degradations,
    monitoring, webhooks, cases, operations,
    printabilities, repairs, repair_questions, coordinate_conversions, screenings, batch_localizations,
    population_outliers, trace_checks, report_schedules, reports, die_maps, unit_evidence,
)  # fmt: skip
ROUTERS = (*((API, module.router) for module in _RESOURCES), ("", health.router), ("", documentation.router))
"""Every router with its prefix."""


def open_state(settings: Settings) -> ApiState:
    """Open what an API process needs; the database itself need not be there yet."""
    broker_url = settings.broker_url.get_secret_value() if settings.broker_url is not None else None
    return ApiState(
        settings=settings,
        engine=open_engine(settings),
        reading_engine=open_reading_engine(settings),
        blobs=open_blobs(settings),
        doorbell=Doorbell(broker_url or ""),
        limiter=RateLimiter(broker_url, settings.rate_limit_per_minute),
        recent_keys=RecentKeys(settings.key_cache_s),
        staging=Staging(settings.staging()),
        digests=RunningDigests(),
        file_threads=anyio.CapacityLimiter(FILE_THREADS),
        head_revision=head_revision(),
    )


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the application on the servers and folders that ``settings`` (default: the environment) name."""
    if settings is None:
        settings = get_settings()
        configure_logging(settings)
    state = open_state(settings)
    app = make_app(_lifespan)
    app.state.api = state
    return app


def make_app(lifespan: Callable[[FastAPI], Any] | None = None) -> FastAPI:
    """Return the application with its routes, without resources: enough to tell its contract."""
    app = FastAPI(title="Faultlight", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    for prefix, router in ROUTERS:
        app.include_router(router, prefix=prefix)
    for router in console.ROUTERS:
        app.include_router(router)
    install_error_handlers(app)
    install_refusals(app)
    app.add_middleware(RequestFrame, labels=_label_routes())
    app.openapi = _cached(app)  # type: ignore[method-assign]
    return app


def _label_routes() -> dict[object, str]:
    """Return the path of each endpoint of the API and the console, for the metrics."""
    labels: dict[object, str] = {route.endpoint: path for route, path in list_operations(ROUTERS)}
    pages = (route for router in console.ROUTERS for route in router.routes if isinstance(route, APIRoute))
    return labels | {page.endpoint: page.path for page in pages}


def _cached(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """Return the function that makes the contract once."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = build_openapi(app, ROUTERS)
        return app.openapi_schema

    return openapi


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Match threads to connections, sweep expired uploads now and then, and close everything at the end."""
    state: ApiState = app.state.api
    pool = state.engine.pool
    if isinstance(pool, QueuePool):
        # One connection for each thread, with the pool's overflow for those that work on files.
        anyio.to_thread.current_default_thread_limiter().total_tokens = pool.size()
    # What the process holds from its start stays to its end: no collection of garbage need look at it again.
    gc.collect()
    gc.freeze()
    sweeper = asyncio.create_task(_sweep_forever(state))
    try:
        yield
    finally:
        sweeper.cancel()
        with suppress(asyncio.CancelledError):
            await sweeper
        state.limiter.close()
        state.engine.dispose()
        state.reading_engine.dispose()
        gc.unfreeze()


async def _sweep_forever(state: ApiState) -> None:
    while True:
        try:
            dropped = await anyio.to_thread.run_sync(sweep_expired, state, limiter=state.file_threads)
            left = await anyio.to_thread.run_sync(sweep_leftovers, state, limiter=state.file_threads)
            if dropped or left:
                log.info("uploads_swept", expired=dropped, left_over=left)
        except Exception:
            log.exception("sweep_failed")
        await asyncio.sleep(_SWEEP_INTERVAL_S)
