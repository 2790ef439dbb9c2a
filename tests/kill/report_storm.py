"""A storm over reports: schedulers with wrong clocks are killed at random, the mail server dies mid-delivery.

Reports are made by the real job; only their rendering is a stand-in, so that the storm is about due times and mail.
"""

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select, text, update

from db.blobs import BlobStore
from db.identifiers import uuid7
from db.repositories import report_schedules
from db.repositories.report_schedules import read_clock
from db.schema.reports import report, report_delivery, report_schedule
from services.pipelines.reliability.report_requests import ReportContent
from services.reports import rendering
from services.settings import Settings
from services.workers.runner import JobRunner
from tests.workers.scenery import make_program

ROOT = Path(__file__).resolve().parents[2]
SKEWS_S = (-3600.0, 0.0, 7200.0)
"""Of the three schedulers' clocks."""


@dataclass(frozen=True)
class ReportStorm:
    """How many schedules with how many due times to catch up each, and how often a scheduler is killed.

    Between two kills so many messages are accepted, or so many seconds go by.
    """

    schedules: int
    behind_minutes: int
    kills: int
    seed: int
    deadline_s: float
    pause_mails: tuple[int, int] = (1, 9)
    pause_s: float = 20.0


@dataclass
class Aftermath:
    """What was left: due times, kills, and deliveries by state and by what the mail server has accepted."""

    due_times: int = 0
    kills: int = 0
    mail_server_deaths: int = 0
    deliveries: Counter[str] = field(default_factory=Counter)


class Household:
    """Three schedulers and a mail server as processes, started again when they die."""

    def __init__(self, settings: Settings, folder: Path, seed: int) -> None:
        self.folder = folder
        self.port = free_port()
        self._seed = seed
        self.mail_starts = 0
        self._environment = dict(os.environ) | {
            "FAULTLIGHT_DATABASE_URL": settings.database_url.get_secret_value() if settings.database_url else "",
            "FAULTLIGHT_BROKER_URL": "redis://127.0.0.1:1/0",
            "FAULTLIGHT_DATA_DIR": str(settings.data_dir),
            "FAULTLIGHT_LOG_LEVEL": "ERROR",
            "FAULTLIGHT_SMTP_HOST": "127.0.0.1",
            "FAULTLIGHT_SMTP_PORT": str(self.port),
            "FAULTLIGHT_SMTP_SECURITY": "none",
            "FAULTLIGHT_SMTP_SENDER": "faultlight@fab.example",
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def check(self) -> None:
        """Start what is not running."""
        for place, skew in enumerate(SKEWS_S):
            self._keep(f"scheduler-{place}", "tests.kill.skewed_scheduler", str(skew))
        if self._keep(
            "mail", "tests.kill.mail_process", str(self.port), str(self.folder), str(self._seed + self.mail_starts)
        ):
            self.mail_starts += 1

    def _keep(self, name: str, module: str, *arguments: str) -> bool:
        running = self.processes.get(name)
        if running is not None and running.poll() is None:
            return False
        log = (self.folder / f"{name}.log").open("ab")
        command = [sys.executable, "-m", module, *arguments]
        self.processes[name] = subprocess.Popen(
            command, cwd=ROOT, env=self._environment, stdout=log, stderr=log, start_new_session=True
        )
        log.close()
        return True

    def kill(self, name: str) -> None:
        """Kill one of them, as a power cut would."""
        with suppress(ProcessLookupError):
            os.kill(self.processes[name].pid, signal.SIGKILL)
        self.processes[name].wait()

    def end(self) -> None:
        """Kill all."""
        for name in self.processes:
            self.kill(name)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def making_reports(engine: Engine, settings: Settings, blobs: BlobStore) -> Iterator[None]:
    """Run the jobs that make reports, with a stand-in for their rendering."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rendering, "render_report", lambda _document: {"html": b"<p>", "pdf": b"%PDF-1.7 stand-in"})
        runner = JobRunner(settings, engine, blobs, "storm", ["cpu"], lambda _due: None)
        stop = threading.Event()

        def work() -> None:
            while not stop.is_set():
                runner.run_waiting()
                stop.wait(0.05)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            runner.stop()
            thread.join()
            runner.close()


def rage(engine: Engine, settings: Settings, blobs: BlobStore, storm: ReportStorm, folder: Path) -> Aftermath:
    """Let the storm go by, wait until every report has ended, and return what was left."""
    program = make_program(engine, "storm")
    chooser, household, aftermath = random.Random(storm.seed), Household(settings, folder, storm.seed), Aftermath()
    first: dict[uuid.UUID, Any] = {}
    deadline = time.monotonic() + storm.deadline_s
    try:
        with making_reports(engine, settings, blobs):
            while time.monotonic() < deadline and (aftermath.kills < storm.kills or len(first) < storm.schedules):
                household.check()
                if len(first) < storm.schedules and len(first) <= storm.schedules * aftermath.kills / storm.kills:
                    add_schedule(engine, program, first, storm.behind_minutes)
                await_mail(household, chooser.randint(*storm.pause_mails), storm.pause_s)
                household.kill(f"scheduler-{chooser.randrange(len(SKEWS_S))}")
                aftermath.kills += 1
            while time.monotonic() < deadline and report_schedules.list_due(engine):
                wait(household, 0.5)
            with engine.begin() as connection:
                connection.execute(update(report_schedule).values(enabled=False))
            while time.monotonic() < deadline and unfinished(engine):
                wait(household, 0.5)
    finally:
        household.end()
    aftermath.mail_server_deaths = household.mail_starts - 1
    check_due_times(engine, first, aftermath)
    check_deliveries(engine, folder / "accepted.csv", aftermath)
    return aftermath


def wait(household: Household, seconds: float) -> None:
    """Start again what dies for so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        household.check()
        time.sleep(0.05)


def await_mail(household: Household, messages: int, most_s: float) -> None:
    """Wait until so many more messages were accepted, at most so long."""
    path, end = household.folder / "accepted.csv", time.monotonic() + most_s
    before = path.stat().st_size if path.exists() else 0
    while time.monotonic() < end:
        wait(household, 0.1)
        if path.exists() and path.stat().st_size - before >= messages * 38:
            return


def add_schedule(engine: Engine, program: uuid.UUID, first: dict[uuid.UUID, Any], behind_minutes: int) -> None:
    """Insert a schedule of every minute whose first due time is so long past; remember the due time in ``first``."""
    identity = uuid7()
    content = ReportContent(screen=None, models=["exponential"]).model_dump(mode="json")
    with engine.begin() as connection:
        now = read_clock(connection)
        begin = now.replace(second=0, microsecond=0) - timedelta(minutes=behind_minutes - 1)
        connection.execute(
            insert(report_schedule).values(
                id=identity, program_id=program, name=f"s{len(first)}", cron="* * * * *", time_zone="Europe/Berlin",
                catch_up="all", content=content, recipients=["ada@fab.example"], next_due_at=begin,
                created_by="service:storm",
            )
        )  # fmt: skip
    first[identity] = begin


def unfinished(engine: Engine) -> int:
    """Return how many reports are not made and how many deliveries are on their way."""
    question = """
        SELECT (SELECT count(*) FROM faultlight.report WHERE state = 'due')
             + (SELECT count(*) FROM faultlight.report_delivery WHERE state IN ('waiting', 'sending'))
    """
    with engine.connect() as connection:
        return int(connection.execute(text(question)).scalar_one())


def check_due_times(engine: Engine, first: dict[uuid.UUID, Any], aftermath: Aftermath) -> None:
    """Assert that every minute from a schedule's first due time to its next one has one report that was made."""
    with engine.connect() as connection:
        following = dict(connection.execute(select(report_schedule.c.id, report_schedule.c.next_due_at)).all())
        rows = connection.execute(select(report.c.schedule_id, report.c.due_at, report.c.state)).all()
    expected = Counter[tuple[Any, Any, str]]()
    for identity, begin in first.items():
        minutes = round((following[identity] - begin).total_seconds() / 60)
        expected.update((identity, begin + timedelta(minutes=number), "ready") for number in range(minutes))
    assert Counter(tuple(row) for row in rows) == expected
    aftermath.due_times = len(rows)


def check_deliveries(engine: Engine, accepted: Path, aftermath: Aftermath) -> None:
    """Assert that each report has one delivery, that none was accepted twice, and that what was not told is marked."""
    counts = Counter(line.partition(",")[0] for line in accepted.read_text().splitlines())
    with engine.connect() as connection:
        rows = connection.execute(
            select(report_delivery.c.id, report_delivery.c.report_id, report_delivery.c.state)
        ).all()
    assert len(rows) == len({row.report_id for row in rows}) == aftermath.due_times
    assert set(counts) <= {str(row.id) for row in rows}
    assert set(counts.values()) == {1}, "a report was mailed twice"
    for row in rows:
        number = counts[str(row.id)]
        assert row.state in ("delivered", "unknown"), f"a delivery is {row.state}"
        assert row.state == "unknown" or number == 1, "a delivery is told as made and was not accepted"
        aftermath.deliveries[f"{row.state}, accepted {number}"] += 1
