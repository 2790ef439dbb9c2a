"""What a fab has of reliability: a lot with outliers and clusters, a wafer map, lifetimes; SIMULATED."""

import time
from pathlib import Path
from typing import Any

import httpx

from services.demo.fab_files import LIFETIMES, write_readouts
from services.uploader.client import UploadClient
from tests.instruments.electrical.wafer_map_writer import e142
from tests.pipelines.simulated_wafers import simulate_wafer, write_atdf

PATIENCE_S = 120.0


def furnish_reliability(url: str, key: str, folder: Path) -> dict[str, str]:
    """Upload files to a running service, ask about them and wait; the ids of files and results."""
    wafers = [simulate_wafer(number, f"W{number:02d}", slope=0.6) for number in range(1, 7)]
    log = folder / "lot7.atdf"
    log.write_text(write_atdf(wafers, lot="LOT7"))
    map_file, lifetimes = folder / "strip.xml", folder / "htol.csv"
    map_file.write_text(e142())
    lifetimes.write_text(LIFETIMES)
    readouts = folder / "drift.csv"
    readouts.write_text(write_readouts("LOT7"))
    with httpx.Client(
        base_url=f"{url}/api/v1", headers={"Authorization": f"Bearer {key}"}, trust_env=False, timeout=60
    ) as http:
        with UploadClient(url, key) as client:
            for path in (log, map_file, lifetimes, readouts):
                client.upload_file(path, "demo")
        ids = {
            "log": _read(http, log.name),
            "map": _read(http, map_file.name),
            "lifetimes": _read(http, lifetimes.name),
            "readouts": _read(http, readouts.name),
        }
        jobs = {
            "screening": f"files/{ids['log']}/screenings",
            "life": f"tables/{_table(http, ids['lifetimes'])}/life-fits",
            "degradation": f"tables/{_table(http, ids['readouts'])}/degradations",
        }
        asked = {name: http.post(path, json=QUESTIONS[name]).json()["id"] for name, path in jobs.items()}
        return ids | {f"{name}_result": _answer(http, job) for name, job in asked.items()}


QUESTIONS: dict[str, dict[str, Any]] = {
    "screening": {"planted": 5},
    "life": {"hours": 87600},
    "degradation": {"methods": ["last-value", "mixed-power-law"], "horizon_h": 5000},
}


def _table(http: httpx.Client, file_id: str) -> str:
    (table,) = http.get("tables", params={"raw_file": file_id}).json()["items"]
    return str(table["id"])


def _read(http: httpx.Client, name: str) -> str:
    """Wait until the file has been read; its id."""
    return str(_wait(lambda: http.get("files", params={"filename": name, "state": "stored"}).json()["items"])[0]["id"])


def _answer(http: httpx.Client, job: str) -> str:
    return str(_wait(lambda: http.get("results", params={"job": job}).json()["items"])[0]["id"])


def _wait(look: Any) -> Any:
    end = time.monotonic() + PATIENCE_S
    while not (found := look()):
        assert time.monotonic() < end, "the service did not get there in time"
        time.sleep(0.2)
    return found
