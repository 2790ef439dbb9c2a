"""The demonstration: a simulated die with a hidden fault, sent through the real upload path and found again."""

import json
import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from services.demo.die import DieOptions, make_session
from services.demo.presentation import print_localization
from services.uploader.client import UploadClient

PROGRAM = "demo"
TIMEOUT_S = 300.0
POLL_INTERVAL_S = 0.2
FINAL_STATES = ("succeeded", "failed", "dead", "cancelled")


class DemonstrationFailed(Exception):  # noqa: N818
    """The demonstration did not come to a result; the message says at which step and why."""


class Demonstration:
    """Makes the die, uploads its session, follows the jobs, shows what was found.

    Args:
        url: where the API answers.
        key: a key that may create a program and upload to it.
        folder: where the session's files and the truth about the hidden fault are kept.
        console: where to show it.
    """

    def __init__(self, url: str, key: str, folder: Path, console: Console) -> None:
        self._url = url
        self._key = key
        self._folder = folder
        self._console = console
        self._http = httpx.Client(
            base_url=f"{url}/api/v1", headers={"Authorization": f"Bearer {key}"}, timeout=30, trust_env=False
        )

    def load_and_show(self) -> bool:
        """Load the die unless an earlier start has, show the result; return whether the hidden fault was found.

        Raises:
            DemonstrationFailed: an upload or a job did not succeed.
        """
        truth = self._make_die()
        try:
            bundle = self._upload()
            self._follow(self._job("ingest", bundle=bundle), "reading the session")
            session = self._only("probing-sessions", bundle=bundle)
            self._follow(self._job("localize", probing_session=session["id"]), "finding the failing gate")
            result = self._only("results", probing_session=session["id"], kind="localize")
            detail = self._get(f"results/{result['id']}")
        except httpx.HTTPError as error:
            raise DemonstrationFailed(f"the API did not answer: {error}") from error
        self._console.print(f"\n[bold]Session {session['name']}[/] (SIMULATED measurements)")
        print_localization(detail["body"], self._console)
        return self._reveal(truth, detail["body"])

    def _make_die(self) -> dict[str, Any]:
        truth_file = self._folder / "truth.json"
        if not truth_file.exists():
            shutil.rmtree(self._folder, ignore_errors=True)
            session = self._folder / "session"
            session.mkdir(parents=True)
            self._console.print("Making a simulated die with a hidden fault and its waveforms …")
            truth = make_session(session, DieOptions())
            truth_file.write_text(json.dumps(asdict(truth), default=str))
        document = json.loads(truth_file.read_text())
        if not isinstance(document, dict):
            raise DemonstrationFailed(f"{truth_file} is damaged; remove {self._folder}")
        return document

    def _upload(self) -> str:
        """Create the program if need be, upload the session, return the bundle's id."""
        answer = self._http.post("programs", json={"name": PROGRAM})
        if answer.status_code not in (httpx.codes.OK, httpx.codes.CREATED, httpx.codes.CONFLICT):
            raise DemonstrationFailed(f"the program {PROGRAM} could not be created: {answer.text[:300]}")
        with UploadClient(self._url, self._key) as client:
            outcome = client.upload_bundle(self._folder / "session", PROGRAM)
        return str(outcome.bundle_id)

    def _job(self, kind: str, **subject: str) -> str:
        """Wait until the job of ``kind`` about ``subject`` exists; return its id."""
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            items = self._get("jobs", kind=kind, **subject)["items"]
            if items:
                return str(items[0]["id"])
            time.sleep(POLL_INTERVAL_S)
        raise DemonstrationFailed(f"no {kind} job appeared in {TIMEOUT_S:.0f} s")

    def _follow(self, job_id: str, description: str) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[message]}"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._console) as progress:
            bar = progress.add_task(description, total=1.0, message="")
            deadline = time.monotonic() + TIMEOUT_S
            while time.monotonic() < deadline:
                job = self._get(f"jobs/{job_id}")
                progress.update(bar, completed=job["progress"], message=job["progress_message"])
                if job["state"] == "succeeded":
                    progress.update(bar, completed=1.0, message="done")
                    return
                if job["state"] in FINAL_STATES:
                    raise DemonstrationFailed(f"{description}: job {job_id} is {job['state']}: {job.get('error')}")
                time.sleep(POLL_INTERVAL_S)
        raise DemonstrationFailed(f"{description}: job {job_id} did not finish in {TIMEOUT_S:.0f} s")

    def _only(self, resource: str, **query: str) -> dict[str, Any]:
        items = self._get(resource, **query)["items"]
        if len(items) != 1:
            raise DemonstrationFailed(f"expected one of {resource} for {query}, found {len(items)}")
        return dict(items[0])

    def _get(self, resource: str, **query: str) -> dict[str, Any]:
        answer = self._http.get(resource, params=query)
        if not answer.is_success:
            raise DemonstrationFailed(f"GET {resource}: {answer.status_code} {answer.text[:300]}")
        return dict(answer.json())

    def _reveal(self, truth: dict[str, Any], body: dict[str, Any]) -> bool:
        """Show the hidden fault beside the first suspect; true when they are the same gate and it is located."""
        candidates = body["candidates"]
        first = candidates[0]["net"] if candidates else "none"
        self._console.print(f"Hidden fault: {truth['fault']} at gate output {truth['net']}; first suspect: {first}")
        return bool(first == truth["net"] and body["verdict"] == "located")
