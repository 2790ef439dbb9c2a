"""Serving: a page of 100 waveforms, and one waveform as binary, against bare routes in the same run."""

import os
import tempfile
from pathlib import Path

import httpx
import psycopg

from benchmarks.report import Row, main
from benchmarks.workbench import (
    PROGRAM,
    api,
    bare_server,
    median_ratio,
    requests_per_second,
    running_stack,
    wait_for_jobs,
    write_waveforms,
)
from services.stack import Stack
from services.uploader.client import UploadClient

WAVEFORMS = 1000
SAMPLES = 2000


def measure() -> list[Row]:
    """Upload 1,000 waveforms of 2,000 samples and compare the API's routes with bare ones."""
    with running_stack() as stack, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "waveforms.trc"
        write_waveforms(path, WAVEFORMS, SAMPLES, seed=1)
        with UploadClient(stack.url, stack.key) as client:
            client.upload_file(path, PROGRAM)
        wait_for_jobs(stack, kind="ingest", count=1)
        return _compare(stack)


def _compare(stack: Stack) -> list[Row]:
    headers = {"Authorization": f"Bearer {stack.key}"}
    with api(stack) as client:
        page = client.get("waveforms", params={"limit": 100}).raise_for_status().json()["items"]
        waveform = page[0]["id"]
        samples = client.get(f"waveforms/{waveform}/samples", params={"as": "native"}).raise_for_status().content
    if len(page) != 100 or len(samples) != 2 * SAMPLES:
        raise RuntimeError(f"expected 100 rows and {2 * SAMPLES} bytes, got {len(page)} and {len(samples)}")
    if stack.postgres is None:
        raise RuntimeError("the benchmark needs its own PostgreSQL")
    database = stack.postgres.libpq_url("faultlight")
    environment = os.environ | {
        "BENCH_DATABASE": database,
        "BENCH_PAGE_SQL": _page_sql(list(page[0])),
        "BENCH_BLOBS": str(stack.settings.data_dir / "blobs"),
    }
    key, offset, length = _place(database, waveform)
    ours = f"{stack.url}/api/v1"
    with bare_server(environment) as bare:
        routes = {
            "page": (f"{ours}/waveforms?limit=100", f"{bare}/page"),
            "row": (f"{ours}/waveforms/{waveform}/samples?as=native", f"{bare}/waveforms/{waveform}/samples"),
            "file": (
                f"{ours}/waveforms/{waveform}/samples?as=native",
                f"{bare}/files/{key}?offset={offset}&length={length}",
            ),
        }
        for _, theirs in list(routes.values())[1:]:
            if httpx.get(theirs, trust_env=False).content != samples:
                raise RuntimeError(f"{theirs} gives other bytes than the API")
        ratios = {name: _compare_rates(pair, headers) for name, pair in routes.items()}
    return [
        Row("page of 100 waveforms, requests/s against bare psycopg + orjson", ratios["page"], "ratio", ">= 0.5"),
        Row("waveform as binary, requests/s against its bare row and bytes", ratios["row"], "ratio", ">= 0.8"),
        Row("the same against a range of a known file, without a database", ratios["file"], "ratio"),
    ]


def _compare_rates(routes: tuple[str, str], headers: dict[str, str]) -> float:
    ours, theirs = routes
    return median_ratio(lambda: requests_per_second(ours, headers), lambda: requests_per_second(theirs, {}))


def _place(database: str, waveform: str) -> tuple[str, int, int]:
    """Return blob key, byte offset and byte length of the waveform's samples."""
    with psycopg.connect(database) as connection:
        row = connection.execute(
            "SELECT blob_key, byte_offset, byte_length FROM faultlight.waveform WHERE id = %s", (waveform,)
        ).fetchone()
    if row is None:
        raise RuntimeError(f"no waveform {waveform}")
    return row[0], row[1], row[2]


def _page_sql(fields: list[str]) -> str:
    """Return the query of the same columns and order as the API's first page."""
    columns = ", ".join(f'"{name}"' for name in fields)
    return f"SELECT {columns} FROM faultlight.waveform ORDER BY id DESC LIMIT 100"


if __name__ == "__main__":
    main(measure)
