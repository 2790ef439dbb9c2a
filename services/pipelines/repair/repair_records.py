"""Repair runs in the steps of logs: what was done to which defect, when, by what, and how it went.

Beside the vocabulary of repair steps a log may have columns of these names: ``recipe_name``; ``lot_id``, ``wafer_id``,
``die_x``, ``die_y`` and ``serial`` (the unit that was worked on); ``sigma_um`` (of the position);
``delta_cd_after_pct``, ``transmission_loss_pct``, ``residual_nm``, ``over_etch_nm``: measured after the repair, which
count before the tool's own word.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from analysis.repair.quartz_pit import phase_error_deg
from services.pipelines.repair.repair_runs import Rows
from services.pipelines.table_source import SourceTable

GOOD = frozenset({"ok", "pass", "passed", "success", "successful", "succeeded", "repaired", "cleared", "good", "done"})
BAD = frozenset({"fail", "failed", "failure", "nok", "ng", "not ok", "bad", "residual", "damaged", "scrap", "aborted"})
UNIT_COLUMNS = ("lot_id", "wafer_id", "die_x", "die_y", "serial")
"""Of a log that says which unit was worked on."""

_MOSTLY_NEW = 0.7
_ELECTRONS = ("electron", "e-", "e-beam", "ebeam", "e")


@dataclass(frozen=True)
class Criteria:
    """When a repair counts as held; defaults without a source.

    Attributes:
        delta_cd_pct: largest change of a width, of either sign.
        transmission_loss_pct: most loss.
        residual_nm: most that may be left.
        phase_deg: largest phase error of a pit in the quartz.
        wavelength_nm, index: of the exposure, to turn a pit into a phase.
        source: what vouches for them.
    """

    delta_cd_pct: float = 10.0
    transmission_loss_pct: float = 5.0
    residual_nm: float = 20.0
    phase_deg: float = 5.0
    wavelength_nm: float = 193.0
    index: float = 1.563
    source: str = "defaults without a source"


@dataclass
class RepairRun:
    """All steps of one job of one tool on one defect.

    Attributes:
        file, tool, recipe, technique, defect_id: as the log says; ``technique`` is laser, fib, e-beam or ``unknown``.
        steps: their numbers.
        started: of the first step with a time.
        x_um, y_um, sigma_um: the first step's place in the tool's frame; ``None`` without.
        said: the last step's own word, ``None`` when none says anything that is known.
        words: those that are not known.
        measured: figures after the repair, the last step's.
        complaints: criteria that the figures fail.
        unit: what the log says of the unit that was worked on, by the names of its columns.
    """

    file: str
    tool: str
    recipe: str
    technique: str
    defect_id: str
    steps: list[int] = field(default_factory=list)
    started: datetime | None = None
    x_um: float | None = None
    y_um: float | None = None
    sigma_um: float | None = None
    said: bool | None = None
    words: list[str] = field(default_factory=list)
    measured: dict[str, float] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)
    unit: dict[str, str] = field(default_factory=dict)

    @property
    def verified(self) -> bool | None:
        """Whether the figures say that it held; ``None`` without figures."""
        return not self.complaints if self.measured else None


def find_repairs(sources: list[SourceTable], criteria: Criteria) -> list[RepairRun]:
    """Return the runs of ``sources``, in the order of time, those without a time last."""
    runs: dict[tuple[str, ...], RepairRun] = {}
    for source in sources:
        rows = Rows(source)
        for row, step in enumerate(source.table.columns["step"].tolist()):
            tool, job = rows.text("tool", row) or _tool_of(source), rows.text("job", row)
            recipe = rows.text("recipe_name", row) or job
            identity = rows.text("defect_id", row)
            # A job that is a recipe runs on many defects: without their names the place tells them apart.
            place = "" if identity else f"{rows.number('x_um', row)} {rows.number('y_um', row)}"
            unit = {name: text for name in UNIT_COLUMNS if (text := rows.text(name, row))}
            key = (source.file, tool, job, identity, place, *unit.values())
            run = runs.setdefault(key, RepairRun(source.file, tool, recipe, "unknown", identity, unit=unit))
            run.steps.append(step)
            _add_step(run, rows, row)
    for run in runs.values():
        run.complaints = judge_figures(run.measured, criteria)
    _forget_run_numbers(list(runs.values()))
    return sorted(runs.values(), key=lambda run: (run.started is None, run.started or datetime.min.replace(tzinfo=UTC)))


def _forget_run_numbers(runs: list[RepairRun]) -> None:
    """A name that hardly comes twice is the number of a run, not a recipe: nothing is learned from it."""
    names = {(run.tool, run.recipe) for run in runs}
    if len(runs) > 5 and len(names) > _MOSTLY_NEW * len(runs):
        for run in runs:
            run.recipe = ""


def _tool_of(source: SourceTable) -> str:
    log = source.table.vendor_metadata.get("log", {})
    return str(log.get("tool", "")) if isinstance(log, dict) else ""


def _add_step(run: RepairRun, rows: Rows, row: int) -> None:
    technique = _technique(rows, row)
    if technique != "unknown":
        run.technique = technique if run.technique in ("unknown", technique) else "mixed"
    moment = _moment(rows.text("started", row))
    if moment is not None and (run.started is None or moment < run.started):
        run.started = moment
    if run.x_um is None:
        run.x_um, run.y_um = rows.number("x_um", row), rows.number("y_um", row)
        run.sigma_um = rows.number("sigma_um", row)
        if run.x_um is None or run.y_um is None:
            run.x_um = run.y_um = None
    word = rows.text("result", row).lower()
    if word in GOOD or word in BAD:
        run.said = word in GOOD
    elif word:
        run.words.append(word)
    names = ("delta_cd_after_pct", "transmission_loss_pct", "residual_nm", "over_etch_nm")
    run.measured |= {name: value for name in names if (value := rows.number(name, row)) is not None}


def _technique(rows: Rows, row: int) -> str:
    if rows.number("wavelength_nm", row) is not None or rows.number("pulse_s", row) is not None:
        return "laser"
    species = rows.text("species", row).lower()
    if species:
        return "e-beam" if species in _ELECTRONS else "fib"
    # A beam without a species may be of either kind.
    return "unknown"


def judge_figures(measured: dict[str, float], criteria: Criteria) -> list[str]:
    """Return which of ``criteria`` the figures fail, each with both numbers."""
    complaints = []
    limits: dict[str, Any] = {
        "delta_cd_after_pct": ("width changed by {:.3g} %", criteria.delta_cd_pct),
        "transmission_loss_pct": ("transmission lost {:.3g} %", criteria.transmission_loss_pct),
        "residual_nm": ("{:.3g} nm are left", criteria.residual_nm),
    }
    for name, (words, limit) in limits.items():
        if name in measured and abs(measured[name]) > limit:
            complaints.append(f"{words.format(measured[name])}, more than {limit:g}")
    if "over_etch_nm" in measured:
        phase = phase_error_deg(measured["over_etch_nm"], criteria.wavelength_nm, criteria.index)
        if abs(phase) > criteria.phase_deg:
            depth = measured["over_etch_nm"]
            complaints.append(
                f"a pit of {depth:.3g} nm is a phase of {phase:.3g} deg, more than {criteria.phase_deg:g}"
            )
    return complaints


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def count_groups(runs: list[tuple[str, bool]]) -> tuple[list[str], list[int], list[int]]:
    """Return the names of the groups of (group, outcome), and each one's successes and runs, in order of appearance."""
    good: dict[str, int] = defaultdict(int)
    total: dict[str, int] = defaultdict(int)
    for group, outcome in runs:
        total[group] += 1
        good[group] += outcome
    return list(total), [good[name] for name in total], [total[name] for name in total]
