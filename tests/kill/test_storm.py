"""Kill test: uploads under random SIGKILLs of every process; nothing is lost, nothing is doubled."""

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from services.settings import Settings
from services.stack import Stack
from tests.kill.storm import (
    PROGRAM,
    Specimen,
    Storm,
    Toll,
    check_aftermath,
    check_originals,
    make_specimens,
    open_work,
    strike,
    upload_all,
)

SHORT = Storm(uploads=40, kills=12, seed=7, deadline_s=150)
LONG = Storm(uploads=200, kills=60, seed=11, deadline_s=900)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """The whole service on embedded servers, with short leases so that a storm is over soon."""
    settings = Settings(
        data_dir=tmp_path / "data",
        api_port=0,
        database_url=None,
        broker_url=None,
        blob_url=None,
        lease_s=4,
        reconcile_interval_s=1,
        republish_after_s=2,
        job_max_attempts=1000,
        rate_limit_per_minute=0,
    )
    made = Stack(settings)
    with made:
        yield made
    if made.postgres is not None:
        made.postgres.destroy()


def rage(stack: Stack, storm: Storm, folder: Path) -> Toll:
    """Upload and kill until both are done, wait for the end of all work, check the aftermath."""
    headers = {"Authorization": f"Bearer {stack.key}"}
    httpx.post(f"{stack.url}/api/v1/programs", json={"name": PROGRAM}, headers=headers).raise_for_status()
    specimens = make_specimens(folder, storm.uploads, storm.seed)
    deadline = time.monotonic() + storm.deadline_s
    accepted: list[Specimen] = []
    chooser, toll = random.Random(storm.seed + 1), Toll()
    arguments = (stack, specimens, deadline, accepted, lambda: toll.total / storm.kills)
    uploading = threading.Thread(target=upload_all, args=arguments)
    uploading.start()
    while time.monotonic() < deadline and (uploading.is_alive() or toll.total < storm.kills):
        if toll.total < storm.kills:
            strike(stack, chooser, toll)
        supervise(stack, chooser.uniform(*storm.pause_s))
    uploading.join()
    assert stack.postgres is not None
    url = stack.postgres.libpq_url("faultlight")
    while time.monotonic() < deadline and open_work(url):
        supervise(stack, 0.3)
    assert len(accepted) == len(specimens), f"{len(specimens) - len(accepted)} uploads were never accepted"
    check_aftermath(url, accepted)
    # The last kill may have met the API when no work was open any more.
    while time.monotonic() < deadline and not is_ready(stack):
        supervise(stack, 0.3)
    check_originals(stack, accepted)
    return toll


def is_ready(stack: Stack) -> bool:
    """Return whether the API says that it is."""
    try:
        return httpx.get(f"{stack.url}/readyz", timeout=5).is_success
    except httpx.HTTPError:
        return False


def supervise(stack: Stack, seconds: float) -> None:
    """Restart what dies for so long, as `faultlight run` does."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        stack.check()
        time.sleep(0.1)


def test_a_short_storm(stack: Stack, tmp_path: Path) -> None:
    """Forty uploads under a dozen kills."""
    assert rage(stack, SHORT, tmp_path).total >= SHORT.kills


@pytest.mark.slow
def test_a_long_storm(stack: Stack, tmp_path: Path) -> None:
    """Two hundred uploads under sixty kills, every kind of process among the killed."""
    toll = rage(stack, LONG, tmp_path)
    assert toll.total >= 50
    assert {"api", "ingest-worker", "broker", "postgres"} <= set(toll.killed)
