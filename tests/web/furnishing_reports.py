"""What a fab has of reports and learned models: schedules, a report with every outcome of mail; SIMULATED."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from services.demo.fab_files import STRESS_TESTS
from services.uploader.client import UploadClient
from tests.analysis.latent_risk.simulated_units import simulate
from tests.pipelines.simulated_evidence import write_evidence
from tests.reports.mail_server import MailSink

RECIPIENTS = ["reliability@fab.example", "quality@fab.example", "gone@fab.example"]
"""Whose mail is accepted, whose is accepted without a word, whom the server does not know."""
PATIENCE_S = 300.0
MEASURED = {"value": 0.7, "standard_error": 0.05, "source": "qualification 2025"}
CONTENT = {
    "mission_h": 87600,
    "targets": {"fit": 20, "early_life_ppm": 1000, "mission_ppm": 1000, "fallout_ppm": 500, "open_excursions": 2},
    "mechanisms": [{"name": "all", "coefficients": {"ea_ev": MEASURED}}],
}  # fmt: skip


def furnish_mail() -> MailSink:
    """A mail server that breaks off after taking the message to the second of :data:`RECIPIENTS`."""

    def say(content: bytes) -> str | None:
        return None if RECIPIENTS[1].encode() in content else "250 2.0.0 queued"

    return MailSink(behaviours=[say] * 100, refused_recipients={RECIPIENTS[2]: "550 5.1.1 no such user here"})


def furnish_reports(url: str, key: str, folder: Path) -> dict[str, str]:
    """Make them in the program ``demo`` of a running service that mails; the ids of what was made."""
    with httpx.Client(
        base_url=f"{url}/api/v1", headers={"Authorization": f"Bearer {key}"}, trust_env=False, timeout=60
    ) as http:
        training, scoring, lifetimes = _upload(http, UploadClient(url, key), folder)
        learned = _post(http, f"tables/{training}/latent-risk-trainings", {"model": "latent risk", "trees": 0})
        ids = _make_reports(http, lifetimes)
        _await(lambda: http.get(f"jobs/{learned['id']}").json()["state"] == "succeeded")
        (version,) = http.get("model-versions").json()["items"]
        promotion = {"reason": "SIMULATED, for the demonstration", "override": True}
        _post(http, f"model-versions/{version['id']}/promotions", promotion)
        scored = _post(http, f"tables/{scoring}/latent-risk-scores", {"model": "latent risk"})
        _await(lambda: http.get("results", params={"job": scored["id"]}).json()["items"])
        (answer,) = http.get("results", params={"job": scored["id"]}).json()["items"]
        assembled = _post(http, "evidence-assemblies", {"program": "demo"})
        _await(lambda: http.get("results", params={"job": assembled["id"]}).json()["items"])
        (evidence,) = http.get("results", params={"job": assembled["id"]}).json()["items"]
        return ids | {"version": version["id"], "risk_result": answer["id"], "evidence": evidence["id"]}


def _upload(http: httpx.Client, client: UploadClient, folder: Path) -> tuple[str, str, str]:
    """Upload evidence to learn from and to score, and lifetimes; two tables and a file."""
    texts = {
        "evidence.csv": write_evidence(simulate(600)),
        "asked.csv": write_evidence(simulate(60, seed=3), told=False),
        "stress.csv": STRESS_TESTS,
    }
    with client:
        for name, text in texts.items():
            (folder / name).write_text(text)
        files = [str(client.upload_file(folder / name, "demo").raw_file_id) for name in texts]
    for file_id in files:
        _await(lambda file_id=file_id: http.get(f"files/{file_id}").json()["state"] == "stored")
    tables = [http.get("tables", params={"raw_file": file_id}).json()["items"][0]["id"] for file_id in files[:2]]
    return str(tables[0]), str(tables[1]), files[2]


def _make_reports(http: httpx.Client, lifetimes: str) -> dict[str, str]:
    """A schedule whose report was mailed, one that is paused, and a report that was only tried."""
    monthly = {
        "program": "demo", "name": "Monthly monitor", "cron": "0 6 1 * *", "time_zone": "Europe/Berlin",
        "description": "for the quality meeting", "recipients": RECIPIENTS, "content": CONTENT | {"files": [lifetimes]},
    }  # fmt: skip
    weekly = {
        "program": "demo", "name": "Weekly screening", "cron": "30 5 * * 1-5", "time_zone": "Asia/Tokyo",
        "catch_up": "skip", "enabled": False,
    }  # fmt: skip
    daily = {"program": "demo", "name": "Daily early life", "cron": "0 7 * * *", "time_zone": "America/New_York"}
    schedule = _post(http, "report-schedules", monthly)["id"]
    for other in (weekly, daily):
        _post(http, "report-schedules", other)
    mailed = _post(http, f"report-schedules/{schedule}/reports", None)["id"]
    tried = _post(http, "reports", {"program": "demo", "title": "Monthly monitor, tried"})["id"]
    for each in (mailed, tried):
        _await(lambda each=each: http.get(f"reports/{each}").json()["state"] == "ready")
    ended = {"delivered", "unknown", "failed"}
    _await(lambda: {row["state"] for row in _deliveries(http, mailed)} == ended)
    return {"schedule": str(schedule), "report": str(mailed)}


def _deliveries(http: httpx.Client, report: str) -> list[dict[str, Any]]:
    return list(http.get("report-deliveries", params={"report": report}).json()["items"])


def _post(http: httpx.Client, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
    answer = http.post(path, json=body)
    assert answer.is_success, answer.text
    return dict(answer.json())


def _await(look: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not look():
        assert time.monotonic() < end, "the service did not get there in time"
        time.sleep(0.3)
