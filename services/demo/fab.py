"""What a fab has besides one session: lots, outcomes, lifetimes, a layout, charts, a case, a model, a scheduled report.

All of it is SIMULATED and goes through the real upload path and the real jobs. Loading it again finds what is there.
"""

import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx

from services.demo import fab_files, reference_sessions
from services.demo.demonstration import FINAL_STATES, PROGRAM, TIMEOUT_S, DemonstrationFailed
from services.uploader.client import UploadClient

SCHEDULE = "Monthly monitor (SIMULATED)"
MODEL = "field risk"
FREEZE = "2024-06-01T00:00:00Z"
TESTER = ("tester-1", "tester")
PROBER = ("prober-1", "lvp")
_POLL_S = 0.5
_MEASURED = {"value": 0.7, "standard_error": 0.05, "source": "qualification of 2025, SIMULATED"}
_CONTENT: Mapping[str, Any] = {
    "targets": {"fit": 20, "early_life_ppm": 1000, "mission_ppm": 1000, "fallout_ppm": 500, "open_excursions": 2},
    "mechanisms": [{"name": "oxide", "coefficients": {"ea_ev": _MEASURED}}],
}
_STEPS = (("intake", 1, ""), ("waiting", 20, ""), ("fault localization", 3, "prober-1"))


class FabDemonstration:
    """Uploads the files of :mod:`services.demo.fab_files` to the program ``demo``, asks about them and waits.

    Args:
        url: where the API answers.
        key: a key of an administrator.
        folder: where the files are written.
    """

    def __init__(self, url: str, key: str, folder: Path) -> None:
        self._url, self._key, self._folder = url, key, folder
        headers = {"Authorization": f"Bearer {key}"}
        self._http = httpx.Client(base_url=f"{url}/api/v1", headers=headers, timeout=60, trust_env=False)

    def load(self) -> None:
        """Load everything unless an earlier start has.

        Raises:
            DemonstrationFailed: a file was refused or a job did not succeed.
        """
        try:
            if self._get("report-schedules", program=PROGRAM, name=SCHEDULE)["items"]:
                return
            self._folder.mkdir(parents=True, exist_ok=True)
            self._load_reliability()
            if find_spec("klayout") is not None:
                self._load_layout()
            self._simulate_nets()
            self._load_risk()
            self._open_case()
            self._load_charts()
            self._schedule_report()
        except httpx.HTTPError as error:
            raise DemonstrationFailed(f"the API did not answer: {error}") from error

    def _load_reliability(self) -> None:
        files = self._upload({"lifetimes.csv": fab_files.LIFETIMES, "drift.csv": fab_files.write_readouts()})
        fit = self._ask(f"tables/{self._table(files['lifetimes.csv'])}/life-fits", {"hours": 87600})
        drift = {"methods": ["last-value", "mixed-power-law"], "horizon_h": 5000}
        self._await(fit, self._ask(f"tables/{self._table(files['drift.csv'])}/degradations", drift))

    def _load_layout(self) -> None:
        files = self._upload({"wiring.gds": fab_files.write_layout(), "wiring.klarf": fab_files.write_inspection()})
        overlay = {
            "inspection_file_id": files["wiring.klarf"],
            "settings": {"coordinates": "die", "sigma_nm": 80},
        }
        layout = f"files/{files['wiring.gds']}"
        self._await(self._ask(f"{layout}/tiles", {"levels": 4}), self._ask(f"{layout}/overlays", overlay))

    def _simulate_nets(self) -> None:
        """Have the nets of the demonstration's session simulated, for waveforms over what they should be."""
        for session in self._suspects()[:1]:
            self._await(self._ask(f"probing-sessions/{session['id']}/simulations", {"nets": []}))

    def _load_risk(self) -> None:
        """Screen lots, assemble evidence on those that were shipped, learn from it, score the lot that was not."""
        lots = [fab_files.simulate_lot(number) for number in range(fab_files.LOTS)]
        texts: dict[str, str | bytes] = {f"{lot.name}.atdf": fab_files.write_log(lot) for lot in lots}
        texts["returns.csv"] = fab_files.write_outcomes(lots[:-1])
        files = self._upload(texts, instrument=True)
        self._await(*(self._ask(f"files/{files[f'{lot.name}.atdf']}/screenings", _screens()) for lot in lots))
        known = {f"{lot.name}.atdf": lot.tested_at for lot in lots} | {"returns.csv": fab_files.FIRST_TEST}
        stated = [{"file_id": files[name], "known_at": at.isoformat()} for name, at in known.items()]
        shared = {"program": PROGRAM, "freeze_at": FREEZE, "stated_times": stated}
        shipped = self._assemble(shared | {"lots": [lot.name for lot in lots[:-1]], "name": "shipped units"})
        waiting = self._assemble(shared | {"lots": [lots[-1].name], "name": "units not shipped yet"})
        self._await(self._ask(f"tables/{shipped}/latent-risk-trainings", {"model": MODEL, "trees": 0}))
        for version in self._get("model-versions", program=PROGRAM, state="candidate")["items"][:1]:
            decision = {"reason": "SIMULATED, for the demonstration", "override": True}
            self._post(f"model-versions/{version['id']}/promotions", decision)
        self._await(self._ask(f"tables/{waiting}/latent-risk-scores", {"model": MODEL}))

    def _assemble(self, question: Mapping[str, Any]) -> str:
        """Return the table of an assembly."""
        job = self._ask("evidence-assemblies", question)
        self._await(job)
        (answer,) = self._get("results", job=job)["items"]
        return str(self._get(f"results/{answer['id']}")["body"]["table"]["id"])

    def _open_case(self) -> None:
        title = "Unit of DEMO-0020 fails its scan test (SIMULATED)"
        case = self._post("cases", {"program": PROGRAM, "title": title, "description": "Simulated customer return."})
        path = f"cases/{case['id']}"
        began = fab_files.FIRST_TEST
        for kind, hours, tool in _STEPS:
            ended = began + hours * fab_files.HOUR
            times = {"began_at": began.isoformat(), "ended_at": ended.isoformat()}
            self._post(f"{path}/steps", {"kind": kind, "tool": tool, "person": "demonstration", **times})
            began = ended
        self._post(f"{path}/samples", {"name": "lamella A", "description": "planned", "place": "desiccator 3"})
        for session in self._suspects()[:1]:
            self._post(f"{path}/evidence", {"probing_session_id": session["id"], "note": "first session"})

    def _suspects(self) -> list[dict[str, Any]]:
        return list(self._get("probing-sessions", program=PROGRAM, role="suspect")["items"])

    def _load_charts(self) -> None:
        """Have the prober measure a good die day by day, freeze what is usual, and go on until its laser is weaker."""
        folders = reference_sessions.write_reference_sessions(self._folder / "reference-sessions")
        usual, judged = folders[: reference_sessions.USUAL], folders[reference_sessions.USUAL :]
        self._measure(usual)
        note = "SIMULATED, for the demonstration"
        wanted = ("amplitude", "laser_power")
        charts = [item for item in self._get("control-charts", program=PROGRAM)["items"] if item["quantity"] in wanted]
        for baseline in [self._post("chart-baselines", {"chart": item["id"], "note": note}) for item in charts]:
            self._await_state(f"chart-baselines/{baseline['id']}", "frozen", ("refused",))
        self._measure(judged)
        for chart in charts:
            if chart["quantity"] == "laser_power":
                self._await_state(f"control-charts/{chart['id']}", "out-of-control", ())

    def _measure(self, folders: Sequence[Path]) -> None:
        """Upload sessions by the prober's own key, one after the other, and wait until their readings are there."""
        with UploadClient(self._url, self._instrument_key(*PROBER)) as client:
            bundles = [str(client.upload_bundle(folder).bundle_id) for folder in folders]
        for bundle in bundles:
            self._await_state(f"bundles/{bundle}", "stored", ("quarantined",))
            (session,) = self._get("probing-sessions", bundle=bundle)["items"]
            self._await(*(job["id"] for job in self._get("jobs", probing_session=session["id"])["items"]))

    def _schedule_report(self) -> None:
        """Schedule a report and make one now; the schedule comes last, as it says that all else is there."""
        schedule = {"program": PROGRAM, "name": SCHEDULE, "cron": "0 6 1 * *", "description": "for the quality meeting"}
        tests = self._upload({"stress-tests.csv": fab_files.STRESS_TESTS})
        content = {**_CONTENT, "files": list(tests.values())}
        made = self._post("report-schedules", schedule | {"content": content})
        report = self._post(f"report-schedules/{made['id']}/reports", None)
        self._await(str(report["job_id"]))

    def _upload(self, texts: Mapping[str, str | bytes], *, instrument: bool = False) -> dict[str, str]:
        """Upload files, by the tester's own key or ours, and wait until they are read; their ids by name."""
        key = self._instrument_key(*TESTER) if instrument else self._key
        with UploadClient(self._url, key) as client:
            found = {}
            for name, text in texts.items():
                path = self._folder / name
                path.write_bytes(text.encode() if isinstance(text, str) else text)
                found[name] = str(client.upload_file(path, None if instrument else PROGRAM).raw_file_id)
        for identity in found.values():
            self._await_state(f"files/{identity}", "stored", ("quarantined",))
        return found

    def _instrument_key(self, name: str, kind: str) -> str:
        known = self._get("instruments", program=PROGRAM, name=name)["items"]
        described = {"program": PROGRAM, "name": name, "kind": kind}
        instrument = known[0] if known else self._post("instruments", described)
        asked = {"label": "demonstration", "scopes": ["upload"], "instrument_id": instrument["id"]}
        return str(self._post("api-keys", asked)["key"])

    def _await_state(self, path: str, wanted: str, refused: Sequence[str]) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while (state := self._get(path)["state"]) != wanted:
            if state in refused or time.monotonic() > deadline:
                raise DemonstrationFailed(f"{path} is {state}, not {wanted}")
            time.sleep(_POLL_S)

    def _table(self, file_id: str) -> str:
        return str(self._get("tables", raw_file=file_id)["items"][0]["id"])

    def _ask(self, path: str, question: Mapping[str, Any]) -> str:
        """Ask for a job; return its id."""
        return str(self._post(path, question)["id"])

    def _await(self, *jobs: str) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        for identity in jobs:
            while (job := self._get(f"jobs/{identity}"))["state"] not in FINAL_STATES:
                if time.monotonic() > deadline:
                    raise DemonstrationFailed(f"the job {job['kind']} {identity} did not end in {TIMEOUT_S:.0f} s")
                time.sleep(_POLL_S)
            if job["state"] != "succeeded":
                raise DemonstrationFailed(f"the job {job['kind']} {identity} is {job['state']}: {job.get('error')}")

    def _post(self, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        answer = self._http.post(path, json=body)
        if not answer.is_success:
            raise DemonstrationFailed(f"POST {path}: {answer.status_code} {answer.text[:300]}")
        return dict(answer.json())

    def _get(self, path: str, **query: str) -> dict[str, Any]:
        answer = self._http.get(path, params=query)
        if not answer.is_success:
            raise DemonstrationFailed(f"GET {path}: {answer.status_code} {answer.text[:300]}")
        return dict(answer.json())


def _screens() -> dict[str, Any]:
    screens = ["part-average", "neighbour-residual", "bad-neighbourhood", "multivariate", "signatures"]
    return {"screens": screens, "planted": 5}
