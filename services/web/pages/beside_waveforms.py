"""What stands beside the waveforms of a session: what was simulated, and the delays that a localization found."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from db.repositories.access import Action
from db.repositories.catalogue import JOBS, RESULTS, SESSIONS, fetch_row, read_row
from services.api.context import RequestUnit
from services.web.lists import load_rows

MOST_CANDIDATES = 20
_TIMING = ("skew_ps", "skew_sigma_ps", "skew_refused")


@dataclass(frozen=True)
class Beside:
    """Of one session; empty for waveforms of none or of several.

    Attributes:
        session: its id, name and program.
        simulation: the newest result of that kind, or the one that the address names.
        localization: the newest, with its document.
        running: jobs that are simulating.
        probes: the place of each file among the session's waveforms.
    """

    session: Mapping[str, Any] | None = None
    simulation: Mapping[str, Any] | None = None
    localization: Mapping[str, Any] | None = None
    running: list[dict[str, Any]] = field(default_factory=list)
    probes: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def find(cls, unit: RequestUnit, query: Mapping[str, str], session_id: uuid.UUID | None) -> "Beside":
        """Return what there is of the session ``session_id``; ``query`` may name a simulation as ``sim``."""
        if session_id is None:
            return cls()
        names = ("id", "name", "program_id", "document")
        session = fetch_row(unit.connection, unit.caller, SESSIONS, session_id, names)
        jobs = []
        if unit.caller.may(Action.READ_OPERATIONS, session["program_id"]):
            jobs = load_rows(unit, JOBS, {"probing_session": session_id, "kind": "simulation"}, 5)
        files = [str(probe.get("file")) for probe in session["document"].get("waveforms", [])]
        return cls(
            session=session,
            simulation=newest_result(unit, session_id, "simulation", query.get("sim")),
            localization=newest_result(unit, session_id, "localize", None),
            running=[job for job in jobs if job["state"] in ("queued", "running")],
            probes={file: place for place, file in reversed(list(enumerate(files)))},
        )

    @property
    def documents(self) -> list[str]:
        """The API calls of the documents that the page's modules read."""
        return [f"/api/v1/results/{each['id']}" for each in (self.simulation, self.localization) if each is not None]

    def is_compared(self, query: Mapping[str, str]) -> bool:
        """Return whether the page shows something that is simulated, as its address says."""
        plain = query.get("show") == "measured" and query.get("logic") != "1"
        return self.simulation is not None and not plain

    def probe_of(self, file: str) -> int | None:
        """Return the place of ``file`` among the session's waveforms."""
        return self.probes.get(file)

    def timing_of(self, probe: int | None) -> Mapping[str, Any] | None:
        """Return what the localization says of the waveform at that place."""
        said = [] if self.localization is None else self.localization["body"].get("waveforms", [])
        if probe is None or probe >= len(said):
            return None
        return {**dict.fromkeys(_TIMING), **said[probe]}


def newest_result(unit: RequestUnit, session_id: uuid.UUID, kind: str, wanted: str | None) -> dict[str, Any] | None:
    """Return the newest result of ``kind`` of a session with its document, or the one whose id is ``wanted``."""
    known = [row["id"] for row in load_rows(unit, RESULTS, {"probing_session": session_id, "kind": kind}, 20)]
    chosen = wanted if wanted in known else (known[0] if known else None)
    if chosen is None:
        return None
    found: dict[str, Any] = orjson.loads(read_row(unit.connection, unit.caller, RESULTS, uuid.UUID(chosen)))
    return found


def nets_worth_simulating(unit: RequestUnit, session_id: uuid.UUID) -> list[str]:
    """Return nets that somebody may want to see besides the probed ones: suspects, mixtures, what was asked before."""
    nets: list[str] = []
    localization = newest_result(unit, session_id, "localize", None)
    if localization is not None:
        body = localization["body"]
        nets += [item["net"] for item in body.get("candidates", [])[:MOST_CANDIDATES]]
        nets += [part["net"] for item in body.get("waveforms", []) for part in item.get("mixture") or []]
    before = newest_result(unit, session_id, "simulation", None)
    if before is not None:
        nets += [each["net"] for each in before["body"]["nets"]]
    return list(dict.fromkeys(nets))
