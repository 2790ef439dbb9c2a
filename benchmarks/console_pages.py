"""Every page of the console, as its browser tests open them, on a database that has grown."""

import re
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import httpx
import numpy as np
from rich.console import Console
from sqlalchemy import Engine, text

from benchmarks.report import Row, main
from benchmarks.workbench import api, running_stack
from db.engine import make_engine
from services.demo.demonstration import Demonstration
from services.stack import Stack
from tests.web.browsing import page_paths
from tests.web.furnishing import furnish
from tests.web.furnishing_maps import furnish_maps
from tests.web.furnishing_reliability import furnish_reliability
from tests.web.furnishing_reports import furnish_mail, furnish_reports

LOOKS = 20
COUNTS = {"waveform": 1_000_000, "job": 100_000, "raw_file": 100_000, "finding": 1_000_000, "audit_event": 500_000}
FEW = "nothing"
FILTERED = (
    *(f"{path}?program={FEW}" for path in ("/waveforms", "/jobs", "/files", "/findings", "/cases", "/admin/audit")),
    *(f"/waveforms?{name}={FEW}" for name in ("net", "name", "net=m7_3&name")), "/waveforms?order=oldest",
    *(f"/jobs?kind={FEW}{rest}" for rest in ("", "&state=running", "&queue=gpu")), "/jobs?state=running",
    "/jobs?queue=gpu", f"/files?filename={FEW}", f"/files?format={FEW}", f"/files?state=received&format={FEW}",
    f"/findings?kind={FEW}", f"/findings?subject={FEW}", f"/findings?kind=suspect&subject={FEW}",
    f"/admin/audit?actor={FEW}", f"/admin/audit?action={FEW}", f"/admin/audit?actor=service:bench&action={FEW}",
    f"/sessions?name={FEW}", f"/cases?search={FEW}", f"/bundles?name={FEW}", f"/instruments?kind={FEW}",
)  # fmt: skip
"""Lists with filters that hardly a row passes: whoever walks a table for them is slow here."""

_FILLING = {
    "waveform": """
INSERT INTO faultlight.waveform (id, program_id, raw_file_id, record_index, name, blob_key, byte_offset, byte_length,
    sha256, member_path, sample_count, dtype, gain, "offset", unit)
SELECT gen_random_uuid(), w.program_id, w.raw_file_id, 1000 + n, 'w' || n, w.blob_key, 0, 2, w.sha256, '', 1, '<i2', 1,
    0, 'V' FROM (SELECT * FROM faultlight.waveform WHERE raw_file_id IS NOT NULL LIMIT 1) AS w,
    generate_series(1, :count) AS n
""",
    "job": """
INSERT INTO faultlight.job (id, job_key, program_id, kind, queue, payload, state, requested_by, finished_at)
SELECT gen_random_uuid(), 'k' || n, p.id, 'ingest', 'ingest', '{}', 'succeeded', 'service:bench', now()
FROM faultlight.program AS p, generate_series(1, :count) AS n WHERE p.name = 'demo'
""",
    "raw_file": """
INSERT INTO faultlight.raw_file (id, program_id, filename, size_bytes, sha256, blob_key, state, format)
SELECT gen_random_uuid(), f.program_id, 'f' || n, 1, encode(sha256(n::text::bytea), 'hex'),
    'raw/' || f.program_id || '/' || encode(sha256(n::text::bytea), 'hex'), 'stored', 'csv'
FROM (SELECT * FROM faultlight.raw_file LIMIT 1) AS f, generate_series(1, :count) AS n
""",
    "finding": """
INSERT INTO faultlight.finding (id, program_id, result_id, kind, rank, subject)
SELECT gen_random_uuid(), r.program_id, r.id, 'suspect', 1000 + n, 'n' || n
FROM (SELECT * FROM faultlight.result LIMIT 1) AS r, generate_series(1, :count) AS n
""",
    "audit_event": """
INSERT INTO faultlight.audit_event (id, program_id, actor, action, subject_type, subject_id)
SELECT gen_random_uuid(), p.id, 'service:bench', 'file.received', 'raw_file', gen_random_uuid()
FROM faultlight.program AS p, generate_series(1, :count) AS n WHERE p.name = 'demo'
""",
}


def measure() -> list[Row]:
    """Furnish a console as its tests do, fill the tables that grow, and ask for every page."""
    mail = furnish_mail()
    sending = {
        "smtp_host": "127.0.0.1", "smtp_port": mail.port, "smtp_security": "none", "smtp_sender": "bench@fab.example",
    }  # fmt: skip
    with closing(mail), running_stack(**sending) as stack, tempfile.TemporaryDirectory() as folder:
        paths = [*_furnish(stack, Path(folder)), *FILTERED]
        if stack.settings.database_url is None:
            raise RuntimeError("the stack has no database")
        engine = make_engine(stack.settings.database_url.get_secret_value(), statement_timeout_s=600)
        _fill(engine)
        engine.dispose()
        waits = _ask(stack, paths)
    return _tell(waits)


def _furnish(stack: Stack, folder: Path) -> list[str]:
    shown = Console(file=(folder / "demonstration.log").open("w"))
    if not Demonstration(stack.url, stack.key, folder / "demonstration", shown).load_and_show():
        raise RuntimeError("the demonstration did not find its fault")
    if stack.settings.database_url is None:
        raise RuntimeError("the stack has no database")
    engine = make_engine(stack.settings.database_url.get_secret_value())
    ids = furnish(stack.url, stack.key, engine, folder)
    engine.dispose()
    ids |= furnish_reliability(stack.url, stack.key, folder)
    ids |= furnish_reports(stack.url, stack.key, folder)
    ids |= furnish_maps(stack.url, stack.key)
    with api(stack) as client:
        client.post("programs", json={"name": FEW}).raise_for_status()
        found = [
            client.get("waveforms", params={"probing_session": ids[name]}).raise_for_status().json()["items"]
            for name in ("session", "clean")
        ]
    return page_paths(ids, *("&".join(f"id={item['id']}" for item in items) for items in found))


def _fill(engine: Engine) -> None:
    for table, count in COUNTS.items():
        with engine.begin() as connection:
            connection.execute(text(_FILLING[table]), {"count": count})
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))


def _ask(stack: Stack, paths: list[str]) -> dict[str, list[float]]:
    """Return the milliseconds of each look at each page."""
    waits: dict[str, list[float]] = {path: [] for path in paths}
    with httpx.Client(base_url=stack.url, trust_env=False, timeout=60) as http:
        token = re.sub(r".*/", "", stack.issue_sign_in_link())
        http.post(f"/sign-in/once/{token}")
        for _ in range(LOOKS):
            for path in paths:
                started = time.perf_counter()
                answer = http.get(path)
                waits[path].append((time.perf_counter() - started) * 1000)
                if answer.status_code != 200:
                    raise RuntimeError(f"{path} answered {answer.status_code}")
    return waits


def _tell(waits: dict[str, list[float]]) -> list[Row]:
    worst = {path: float(np.percentile(some, 95)) for path, some in waits.items()}
    for path in sorted(worst, key=lambda each: -worst[each])[:10]:
        sys.stderr.write(f"{worst[path]:8.1f} ms  {_short(path)}\n")
    slowest = max(worst, key=lambda path: worst[path])
    every = [wait for some in waits.values() for wait in some]
    full = ", ".join(f"{count:,} {table.replace('_', ' ')}s" for table, count in COUNTS.items())
    return [
        Row(f"{len(waits)} pages of the console with {full}, p95 of {len(every)}", _p95(every), "ms", "<= 200"),
        Row(f"the slowest of them, {_short(slowest)}, p95 of {LOOKS}", worst[slowest], "ms", "<= 200"),
    ]


def _p95(values: list[float]) -> float:
    return float(np.percentile(values, 95))


def _short(path: str) -> str:
    """Return an address with its ids cut short."""
    return re.sub(r"(id=…&?)+", "ids…&", re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "…", path))


if __name__ == "__main__":
    main(measure)
