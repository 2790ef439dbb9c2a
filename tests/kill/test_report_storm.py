"""Kill test of reports: each due time is delivered once or, where nobody can know, marked and not repeated."""

from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from db.blobs import BlobStore
from services.settings import Settings
from services.stores import open_blobs
from tests.kill.report_storm import Aftermath, ReportStorm, rage

SHORT = ReportStorm(schedules=3, behind_minutes=8, kills=6, seed=3, deadline_s=240)
LONG = ReportStorm(schedules=10, behind_minutes=50, kills=60, seed=5, deadline_s=1700, pause_s=12.0)


def storm_over(storm: ReportStorm, engine: Engine, database_url: str, folder: Path) -> Aftermath:
    settings = Settings(data_dir=folder / "data", database_url=SecretStr(database_url), job_max_attempts=1000)
    (folder / "data").mkdir()
    blobs: BlobStore = open_blobs(settings)
    return rage(engine, settings, blobs, storm, folder)


@pytest.mark.slow
@pytest.mark.parametrize("storm", [SHORT, LONG], ids=["short", "long"])
def test_reports_survive_a_storm(storm: ReportStorm, engine: Engine, database_url: str, tmp_path: Path) -> None:
    """Three schedulers with clocks an hour behind and two ahead, killed at random, and a mail server that dies."""
    aftermath = storm_over(storm, engine, database_url, tmp_path)
    print(aftermath)
    assert aftermath.due_times >= storm.schedules * storm.behind_minutes
    assert aftermath.kills >= storm.kills
    assert aftermath.deliveries["delivered, accepted 1"] > aftermath.due_times / 2
