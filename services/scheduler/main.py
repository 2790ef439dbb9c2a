"""The scheduler process: everything that happens on time. Any number may run; the rows decide who does what."""

import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

import structlog
from prometheus_client import start_http_server
from sqlalchemy import Engine

from services.reports.mail import open_mail_server
from services.reports.occurrences import attend_to_schedules
from services.scheduler import mailing
from services.scheduler.agents import watch_agents
from services.scheduler.attendants import Attendants
from services.scheduler.deliveries import THREADS, DeliveryThreads, open_deliverer
from services.scheduler.model_watch import watch_models
from services.scheduler.reconciler import export_gauges, reconcile_once
from services.scheduler.rereading import request_rereading
from services.scheduler.sweep import sweep_blobs
from services.settings import Settings
from services.stores import broker_url, open_blobs, open_engine
from services.telemetry import configure_logging, give_sign_of_life
from services.workers.doorbell import Doorbell

log = structlog.get_logger(__name__)

SWEEP_INTERVAL_S = 3600.0
AGENTS_INTERVAL_S = 60.0
MODELS_INTERVAL_S = 60.0
REPORTS_INTERVAL_S = 5.0
STOP_PATIENCE_S = 2.0


@dataclass
class Duty:
    """Something to do every ``interval_s`` seconds; one that fails is tried again at its next time."""

    name: str
    interval_s: float
    action: Callable[[], object]
    due: float = 0.0

    def attend(self, now: float) -> None:
        """Do it when it is due."""
        if now < self.due:
            return
        self.due = now + self.interval_s
        try:
            self.action()
        except Exception as error:
            log.warning("duty_failed", duty=self.name, reason=f"{type(error).__name__}: {error}")


def make_duties(settings: Settings, engine: Engine, doorbell: Doorbell) -> list[Duty]:
    """Return what the scheduler does, and how often."""
    blobs = open_blobs(settings)

    def reread() -> None:
        from instruments.registry import Registry  # noqa: PLC0415  (loads every adapter)

        registry = Registry.load()
        request_rereading(engine, settings, registry.versions(), registry.fingerprint())

    def make_reports_due() -> None:
        attend_to_schedules(engine, settings, lambda due: doorbell.ring(due.job_id, due.queue, due.priority))

    def watch() -> None:
        watch_models(engine, settings, lambda due: doorbell.ring(due.job_id, due.queue, due.priority))

    return [
        Duty("reconcile", settings.reconcile_interval_s, lambda: reconcile_once(engine, doorbell, settings)),
        Duty("gauges", settings.reconcile_interval_s, lambda: export_gauges(engine)),
        Duty("reread", settings.reread_interval_s, reread),
        Duty("watch-agents", AGENTS_INTERVAL_S, lambda: watch_agents(engine, settings)),
        Duty("reports", REPORTS_INTERVAL_S, make_reports_due),
        Duty("watch-models", MODELS_INTERVAL_S, watch),
        Duty("sweep-blobs", SWEEP_INTERVAL_S, lambda: sweep_blobs(engine, blobs, settings.orphan_age_s)),
    ]


def run_scheduler(settings: Settings) -> None:
    """Attend to the duties until SIGTERM or SIGINT."""
    configure_logging(settings)
    stop = threading.Event()
    _stop_on_signals(stop)
    engine = open_engine(settings, pool_size=3 + THREADS + mailing.THREADS)
    doorbell = Doorbell(broker_url(settings))
    duties = make_duties(settings, engine, doorbell)
    if settings.scheduler_metrics_port:
        start_http_server(settings.scheduler_metrics_port)
    sending = _start_sending(settings, engine)
    log.info("scheduler_started")
    while not stop.is_set():
        for duty in duties:
            if not stop.is_set():
                duty.attend(time.monotonic())
        give_sign_of_life(settings)
        stop.wait(max(0.05, min(duty.due for duty in duties) - time.monotonic()))
    for attendants in sending:
        attendants.stop(STOP_PATIENCE_S)
    engine.dispose()
    log.info("scheduler_stopped")


def _start_sending(settings: Settings, engine: Engine) -> list[Attendants]:
    sending: list[Attendants] = [DeliveryThreads(engine, lambda: open_deliverer(settings))]
    server = open_mail_server(settings)
    if server is not None:
        sending.append(mailing.mail_threads(engine, open_blobs(settings), server, settings.public_url))
    for attendants in sending:
        attendants.start()
    return sending


def _stop_on_signals(stop: threading.Event) -> None:
    def handle(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
