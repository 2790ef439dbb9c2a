"""What the demonstration does not bring but a fab has: trouble, a control chart, a case, a file that nothing reads."""

import json
import shutil
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from sqlalchemy import Engine, insert, select

from db.identifiers import uuid7
from db.schema import monitoring, people, work
from services.demo.die import DieOptions, make_session
from services.pipelines.monitoring.chart_evaluation import Limits, Reading, estimate_limits, evaluate
from services.uploader.client import UploadClient
from tests.web.masks import question, write_masks

NOW = datetime.now(UTC)
PARAMETERS = {
    "rules": [1, 2, 5, 6], "ewma_weight": 0.2, "ewma_width": 2.962, "cusum_reference": 0.5, "cusum_decision": 5.0,
}  # fmt: skip


def furnish(url: str, key: str, engine: Engine, folder: Any) -> dict[str, str]:
    """Add it to the program ``demo`` of a running service; the ids of what was made."""
    with httpx.Client(
        base_url=f"{url}/api/v1", headers={"Authorization": f"Bearer {key}"}, trust_env=False, timeout=30
    ) as http:
        instrument = post(http, "instruments", program="demo", name="prober-2", kind="laser prober")["id"]
        tool_key = post(http, "api-keys", label="prober-2", scopes=["upload"], instrument_id=instrument)["key"]
        _report_trouble(http, tool_key)
        bad = folder / "torn.trc"
        bad.write_bytes(b"#9000800000WAVEDESC" + bytes(range(256)) * 4)
        with UploadClient(url, tool_key) as client:
            client.upload_file(bad, None)
        session = http.get("probing-sessions").json()["items"][0]["id"]
        masks = add_masks(url, key, http, folder)
        clean = add_clean_session(url, key, http, folder)
        case = _open_case(http, session)
    with engine.connect() as connection:
        program = connection.execute(select(people.program.c.id).where(people.program.c.name == "demo")).scalar_one()
    chart = add_chart(engine, program, uuid.UUID(instrument))
    add_dead_job(engine, program)
    made = {"instrument": instrument, "session": session, "case": case, "chart": str(chart), "clean": clean}
    return made | masks


def add_masks(url: str, key: str, http: httpx.Client, folder: Path) -> dict[str, str]:
    """A layout with its layers drawn and an inspection laid on it, and a clip whose defects are judged and drawn."""
    paths = write_masks(folder)
    with UploadClient(url, key) as client:
        ids = {name: str(client.upload_file(path, "demo").raw_file_id) for name, path in paths.items()}
    layout, clip = ids["wiring.gds"], ids["lines.glp"]
    for name in ("wiring.gds", "wiring.klarf", "lines.glp"):
        await_state(http, f"files/{ids[name]}", {"stored"})
    overlay = {"inspection_file_id": ids["wiring.klarf"], "settings": {"coordinates": "die", "sigma_nm": 80}}
    jobs = [
        post(http, f"files/{layout}/tiles", levels=4),
        post(http, f"files/{layout}/overlays", **overlay),
        post(http, f"files/{clip}/printabilities", **question()),
    ]
    for job in jobs:
        await_state(http, f"jobs/{job['id']}", {"succeeded"})
    judged = http.get("results", params={"job": jobs[2]["id"]}).json()["items"][0]["id"]
    drawn = post(http, f"results/{judged}/printing-pictures", defect="bridge")
    await_state(http, f"jobs/{drawn['id']}", {"succeeded"})
    return {"layout": layout, "clip": clip}


def add_clean_session(url: str, key: str, http: httpx.Client, folder: Path) -> str:
    """A SIMULATED session of six probes with little noise, localized, with its nets simulated."""
    session = folder / "clean"
    session.mkdir()
    make_session(session, DieOptions(seed=20, probes=6, snr_per_cycle=60.0))
    document = json.loads((session / "session.json").read_text()) | {"session": "CLEAN-0020"}
    (session / "session.json").write_text(json.dumps(document))
    archive = Path(shutil.make_archive(str(folder / "clean-session"), "zip", session))
    with UploadClient(url, key) as client:
        raw_file = client.upload_file(archive, "demo").raw_file_id
    await_state(http, f"files/{raw_file}", {"stored"})
    made = str(http.get("probing-sessions", params={"name": "CLEAN-0020"}).json()["items"][0]["id"])
    for path in ("localizations", "simulations"):
        job = post(http, f"probing-sessions/{made}/{path}", **({"nets": []} if path == "simulations" else {}))
        await_state(http, f"jobs/{job['id']}", {"succeeded"})
    return made


def await_state(http: httpx.Client, path: str, wanted: set[str]) -> None:
    """Wait until a file or job is in one of the states."""
    for _ in range(600):
        row = http.get(path).json()
        if row["state"] in wanted:
            return
        assert row["state"] not in ("failed", "dead", "quarantined"), row
        time.sleep(0.2)
    raise AssertionError(f"{path} did not get to {wanted}")


def post(http: httpx.Client, path: str, **body: Any) -> dict[str, Any]:
    answer = http.post(path, json=body)
    assert answer.is_success, answer.text
    return dict(answer.json())


def _report_trouble(http: httpx.Client, tool_key: str) -> None:
    report = {
        "agent_id": str(uuid.uuid4()), "agent_version": "0.1.0", "folder": "D:/prober/out", "waiting_files": 42,
        "waiting_bytes": 17_000_000, "oldest_waiting_s": 9000, "refused_files": 1,
        "trouble": "the disk of the journal is full", "sent_at": NOW.isoformat(),
    }  # fmt: skip
    answer = http.put("instruments/self/health", json=report, headers={"Authorization": f"Bearer {tool_key}"})
    assert answer.is_success, answer.text


def _open_case(http: httpx.Client, session: str) -> str:
    case = str(post(http, "cases", program="demo", title="Unit 4,7 fails scan", description="customer return")["id"])
    post(http, f"cases/{case}/samples", name="lamella A", description="TEM lamella", place="desiccator 3")
    began = NOW - timedelta(hours=30)
    for kind, hours, tool in (("intake", 1, ""), ("waiting", 20, ""), ("fault localization", 3, "prober-2")):
        times = {"began_at": began.isoformat(), "ended_at": (began + timedelta(hours=hours)).isoformat()}
        post(http, f"cases/{case}/steps", kind=kind, tool=tool, person="ada", **times)
        began += timedelta(hours=hours)
    post(http, f"cases/{case}/evidence", probing_session_id=session, note="first session")
    return case


def add_chart(engine: Engine, program: uuid.UUID, instrument: uuid.UUID) -> uuid.UUID:
    """Add a chart of 60 readings, frozen limits after 30 and a shift at the end, evaluated as a worker does."""
    values = np.random.default_rng(7).normal(0.5, 0.01, 60)
    values[-4:] += 0.045
    readings = [
        Reading(uuid7(), NOW - timedelta(hours=60 - at), float(value), 0.004) for at, value in enumerate(values)
    ]
    baseline, count = estimate_limits(readings[:30], None, NOW, robust=False)
    found = evaluate(readings, Limits(baseline, readings[29].observed_at, PARAMETERS))
    chart = uuid7()
    summary = {
        "id": str(uuid7()), "centre": baseline.centre, "sigma": baseline.sigma, "count": count,
        "method": "moving range",
        "warnings": [], "parameters": PARAMETERS, "note": "", "from_at": None, "to_at": NOW.isoformat(),
        "requested_by": "account:admin", "requested_at": NOW.isoformat(),
    }  # fmt: skip
    document = found.document | {"truncated": False, "baseline": summary, "provenance": {"algorithm_version": "test"}}
    with engine.begin() as connection:
        connection.execute(
            insert(monitoring.control_chart).values(
                id=chart,
                program_id=program,
                instrument_id=instrument,
                node="REF_CLK",
                quantity="amplitude",
                unit="V",
                setup={"averages": 1000},
                simulated=True,
                state=found.state,
                revision=1,
                evaluated_revision=1,
                evaluated_at=NOW,
                evaluation=document,
            )
        )
    return chart


def add_dead_job(engine: Engine, program: uuid.UUID) -> None:
    with engine.begin() as connection:
        connection.execute(
            insert(work.job).values(
                id=uuid7(),
                job_key=uuid.uuid4().hex,
                program_id=program,
                kind="anomaly",
                queue="cpu",
                payload={},
                requested_by="account:admin",
                state="dead",
                attempts=3,
                finished_at=NOW,
                error={"type": "WorkerLost", "message": "the worker died three times"},
            )
        )
