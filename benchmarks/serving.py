"""Serving: a page of 100 waveforms, and one waveform as binary, against bare routes in the same run."""

import os
import tempfile
from pathlib import Path

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
        return _compare(stack, Path(folder))


def _compare(stack: Stack, folder: Path) -> list[Row]:
    headers = {"Authorization": f"Bearer {stack.key}"}
    with api(stack) as client:
        page = client.get("waveforms", params={"limit": 100}).raise_for_status().json()["items"]
        waveform = page[0]["id"]
        samples = client.get(f"waveforms/{waveform}/samples", params={"as": "native"}).raise_for_status().content
    if len(page) != 100 or len(samples) != 2 * SAMPLES:
        raise RuntimeError(f"expected 100 rows and {2 * SAMPLES} bytes, got {len(page)} and {len(samples)}")
    blob = folder / "samples"
    blob.write_bytes(samples)
    if stack.postgres is None:
        raise RuntimeError("the benchmark needs its own PostgreSQL")
    environment = os.environ | {
        "BENCH_DATABASE": stack.postgres.libpq_url("faultlight"),
        "BENCH_PAGE_SQL": _page_sql(list(page[0])),
        "BENCH_BLOB": str(blob),
        "BENCH_BLOB_BYTES": str(len(samples)),
    }
    with bare_server(environment) as bare:
        page_ratio = median_ratio(
            lambda: requests_per_second(f"{stack.url}/api/v1/waveforms?limit=100", headers),
            lambda: requests_per_second(f"{bare}/page", {}),
        )
        binary_ratio = median_ratio(
            lambda: requests_per_second(f"{stack.url}/api/v1/waveforms/{waveform}/samples?as=native", headers),
            lambda: requests_per_second(f"{bare}/samples", {}),
        )
    return [
        Row("page of 100 waveforms, requests/s against bare psycopg + orjson", page_ratio, "ratio", ">= 0.5"),
        Row("waveform of 2,000 samples as binary, requests/s against a bare route", binary_ratio, "ratio", ">= 0.8"),
    ]


def _page_sql(fields: list[str]) -> str:
    """Return the query of the same columns and order as the API's first page."""
    columns = ", ".join(f'"{name}"' for name in fields)
    return f"SELECT {columns} FROM faultlight.waveform ORDER BY id DESC LIMIT 100"


if __name__ == "__main__":
    main(measure)
