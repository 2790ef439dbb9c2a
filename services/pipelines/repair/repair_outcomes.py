"""Whether repairs held, joined to their defects: the same function for ``faultlight repair outcome`` and the job."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from analysis.coordinates.affine import Points
from analysis.coordinates.registration import RegistrationRefused, fit_registration
from analysis.repair import joining, success
from analysis.repair.joining import Joined, check_id, have_near, join_by_id, join_by_place
from analysis.repair.success import Judged, Rate, judge_models, pool_rates, raw_rate
from services.pipelines.repair.printed_repairs import Printed, PrintedDefect, read_printed
from services.pipelines.repair.repair_constants import DocumentRefused, explain, read_document
from services.pipelines.repair.repair_records import Criteria, RepairRun, count_groups, find_repairs
from services.pipelines.repair.repair_requests import GivenCriteria
from services.pipelines.table_source import SourceTable, TableRefused, read_tables
from services.pipelines.versions import OUTCOME_VERSION

FEWEST_FOR_FRAME = 4
FEWEST_TO_COMPARE = 5
"""Defects from which on it counts that a second inspection shows none of what it should."""
_STILL_THERE = 0.95
_MISCALIBRATED = 0.01


@dataclass(frozen=True)
class Frame:
    """How positions of tool and inspection go together.

    Attributes:
        same: the tool's frame is that of the defects; otherwise it is fitted to the runs that are joined by id.
        run_sigma_um, defect_sigma_um: standard deviations of positions whose file states none.
    """

    same: bool = False
    run_sigma_um: float = 1.0
    defect_sigma_um: float = 1.0

    def __post_init__(self) -> None:
        for value in (self.run_sigma_um, self.defect_sigma_um):
            if not (np.isfinite(value) and value > 0):
                raise TableRefused(f"the standard deviation of positions is above 0 um, not {value}")


@dataclass(frozen=True)
class Question:
    """What is joined: logs, defects before, and a second inspection of the same sample after; either may be empty."""

    logs: list[SourceTable]
    defects: list[SourceTable]
    after: list[SourceTable]
    frame: Frame = field(default_factory=Frame)
    criteria: Criteria = field(default_factory=Criteria)
    printed: Printed = field(default_factory=Printed)


def read_criteria(path: Path | None) -> Criteria:
    """Return the criteria in the TOML or JSON file ``path``, the defaults without one; raises ``DocumentRefused``."""
    if path is None:
        return Criteria()
    try:
        return Criteria(**GivenCriteria.model_validate(read_document(path)).model_dump())
    except ValidationError as error:
        raise DocumentRefused(f"{path.name}: {explain(error)}") from error


@dataclass(frozen=True)
class JudgedBy:
    """By what repairs are judged: a file of criteria, and answers of ``faultlight mask print`` on what was left."""

    criteria: Path | None = None
    printability: Sequence[Path] = ()


def judge_paths(
    logs: Sequence[Path], defects: Path | None, after: Path | None, frame: Frame, judged_by: JudgedBy
) -> dict[str, Any]:
    """Return the answer for files; raises what reading and :func:`judge_repairs` raise."""
    limits, printed = read_criteria(judged_by.criteria), read_printed(judged_by.printability)
    return judge_repairs(
        Question(
            read_tables(logs, "repair_step"),
            read_tables([defects], "mask_defect") if defects is not None else [],
            read_tables([after], "mask_defect") if after is not None else [],
            frame,
            limits,
            printed,
        )
    )


@dataclass(frozen=True)
class _Defects:
    """Defects of all tables in one row: ids, names with their table's, classes, places (NaN without)."""

    ids: list[str]
    names: list[str]
    classes: list[str]
    xy: Any

    @staticmethod
    def of(sources: list[SourceTable]) -> "_Defects":
        ids, names, classes, places = [], [], [], []
        for source in sources:
            names += [f"{source.table.name} {value}" for value in source.table.columns["defect_id"].tolist()]
            ids += [str(value) for value in source.table.columns["defect_id"].tolist()]
            numbers = source.numbers("class_number")
            classes += [
                name or (f"class {number:g}" if np.isfinite(number) else "")
                for name, number in zip(source.texts("class_name"), numbers, strict=True)
            ]
            places.append(np.column_stack([source.numbers("x_um"), source.numbers("y_um")]))
        return _Defects(ids, names, classes, np.concatenate(places) if places else np.empty((0, 2)))


def judge_repairs(question: Question) -> dict[str, Any]:
    """Return the answer of ``faultlight repair outcome --json``.

    Raises:
        TableRefused: the logs hold no run.
    """
    runs = find_repairs(question.logs, question.criteria)
    if not runs:
        raise TableRefused("the logs hold no repair run")
    defects = _Defects.of(question.defects)
    joins, frame = _join(runs, defects, question)
    doubt = _doubt_inspections(joins, defects, question)
    again: list[bool | None] = [None] * len(runs) if doubt else _found_again(joins, defects, question)
    left = [_find_printed(run, joined, defects, question.printed) for run, joined in zip(runs, joins, strict=True)]
    outcomes = [_outcome(run, state, image) for run, state, image in zip(runs, again, left, strict=True)]
    documents = [
        _describe(run, joined, defects, outcome) for run, joined, outcome in zip(runs, joins, outcomes, strict=True)
    ]
    without_run = sorted(set(question.printed.defects) - {image.name for image in left if image is not None})
    known = [(run, document) for run, document in zip(runs, documents, strict=True) if document["held"] is not None]
    rates = _rates(known)
    return {
        "verdict": "judged" if rates["judged"]["judged"] >= success.FEWEST_JUDGED else "too-few-to-judge",
        "runs": documents,
        "joined": sum(joined.defect is not None for joined in joins),
        "frame": frame,
        "without_outcome": len(runs) - len(known),
        "printed_without_run": without_run,
        "flags": [*([doubt] if doubt else []), *_flags(rates["judged"])],
        "unknown_words": sorted({word for run in runs for word in run.words}),
        **rates,
        "provenance": _provenance(question),
    }


def _join(runs: list[RepairRun], defects: _Defects, question: Question) -> tuple[list[Joined], dict[str, Any]]:
    """Return each run's defect, and how the two frames go together."""
    nothing = "no list of defects was given" if not defects.ids else "the run has neither a known id nor a place"
    joins = [Joined(None, None, 0.0, None, None, nothing) for _ in runs]
    if not defects.ids:
        return joins, {"used": None, "reason": nothing}
    by_id = join_by_id([run.defect_id for run in runs], defects.ids)
    placed = [index for index, run in enumerate(runs) if run.x_um is not None]
    usable = np.isfinite(defects.xy).all(axis=1)
    listed = Points.isotropic(np.where(usable[:, None], defects.xy, 0.0), question.frame.defect_sigma_um)
    moved, frame = _bring_into_frame(runs, placed, by_id, listed, usable, question.frame)
    for index, target in enumerate(by_id):
        if target is not None:
            joins[index] = Joined(target, "id", 1.0, None, None, "")
    if moved is None:
        return joins, frame
    rows = np.flatnonzero(usable)
    for place, index in enumerate(placed):
        known = by_id[index]
        if known is not None and usable[known]:
            joins[index] = check_id(moved, listed, place, known)
    free = [place for place, index in enumerate(placed) if by_id[index] is None]
    if free and rows.size:
        found = join_by_place(_some(moved, free), _some(listed, rows.tolist()))
        for place, joined in zip(free, found, strict=True):
            real = None if joined.defect is None else int(rows[joined.defect])
            joins[placed[place]] = replace(joined, defect=real)
    return joins, frame


def _some(points: Points, rows: list[int]) -> Points:
    return Points(points.xy[rows], points.covariance[rows])


def _bring_into_frame(
    runs: list[RepairRun], placed: list[int], by_id: list[int | None], listed: Points, usable: Any, frame: Frame
) -> tuple[Points | None, dict[str, Any]]:
    """Return the places of the runs in the frame of the defects; ``None`` when nothing says how the two go together."""
    if not placed:
        return None, {"used": None, "reason": "no run has a place"}
    xy = np.array([(runs[index].x_um, runs[index].y_um) for index in placed], np.float64)
    sigma = np.array([runs[index].sigma_um or frame.run_sigma_um for index in placed])
    points = Points.isotropic(xy, sigma)
    if frame.same:
        return points, {"used": "same", "reason": "the question says that the frames are the same"}
    pairs = [(place, by_id[index]) for place, index in enumerate(placed)]
    both = [(place, target) for place, target in pairs if target is not None and usable[target]]
    reason = f"{len(both)} runs with an id and a place do not tell how the frames go together; {FEWEST_FOR_FRAME} do"
    if len(both) < FEWEST_FOR_FRAME:
        return None, {"used": None, "reason": reason + ", or --same-frame"}
    source, target = _some(points, [place for place, _ in both]), _some(listed, [target for _, target in both])
    try:
        fitted = fit_registration(source, target, "similarity")
    except RegistrationRefused as error:
        return None, {"used": None, "reason": str(error)}
    described = {
        "used": "fitted",
        "reason": f"a similarity fitted to {len(both)} runs with an id and a place",
        "rms_um": fitted.rms,
        "outliers": int(fitted.outlier.sum()),
        "p_fit": fitted.p_fit,
    }
    return fitted.transform.apply(points), described


def _doubt_inspections(joins: list[Joined], defects: _Defects, question: Question) -> str:
    """Return why the second inspection says nothing of the first's defects; ``""`` when they go together.

    In another frame, or where it did not look, no defect is found again, as if every repair had held.
    """
    if not question.after:
        return ""
    later = _Defects.of(question.after).xy
    later = later[np.isfinite(later).all(axis=1)]
    placed = np.isfinite(defects.xy).all(axis=1)
    near = np.zeros(len(placed), np.bool_)
    near[placed] = have_near(defects.xy[placed], later, question.frame.defect_sigma_um)
    untouched = placed.copy()
    untouched[[joined.defect for joined in joins if joined.defect is not None]] = False
    # A run that is not joined may have been on any of them.
    fewest = int(untouched.sum()) - sum(joined.defect is None for joined in joins)
    seen = int((near & untouched).sum())
    if fewest >= FEWEST_TO_COMPARE and seen < fewest / 2:
        return (
            f"the second inspection is not used: of at least {fewest} defects that no run was on it shows {seen} only; "
            "it did not look there, or its frame is another"
        )
    if len(later) >= FEWEST_TO_COMPARE and not near.any():
        return (
            f"the second inspection is not used: none of its {len(later)} defects is where one was before; "
            "its frame may be another"
        )
    return ""


def _found_again(joins: list[Joined], defects: _Defects, question: Question) -> list[bool | None]:
    """Return for each run whether its defect is in the second inspection; ``None`` when that is not clear."""
    if not question.after:
        return [None] * len(joins)
    after = _Defects.of(question.after)
    kept = after.xy[np.isfinite(after.xy).all(axis=1)]
    later = Points.isotropic(kept, question.frame.defect_sigma_um)
    found: list[bool | None] = []
    for joined in joins:
        if joined.defect is None or not np.isfinite(defects.xy[joined.defect]).all():
            found.append(None)
            continue
        here = Points.isotropic(defects.xy[joined.defect][None, :], question.frame.defect_sigma_um)
        (match,) = join_by_place(here, later)
        found.append(True if match.probability >= _STILL_THERE else (False if match.probability == 0 else None))
    return found


def _find_printed(run: RepairRun, joined: Joined, defects: _Defects, printed: Printed) -> PrintedDefect | None:
    """Return what the image of what was left says of the run's defect, by the defect's name in the question."""
    if joined.defect is None:
        return printed.defects.get(run.defect_id) if not defects.ids else None
    names = (defects.names[joined.defect], defects.ids[joined.defect])
    return next((printed.defects[name] for name in names if name in printed.defects), None)


def _outcome(run: RepairRun, again: bool | None, left: PrintedDefect | None) -> dict[str, Any]:
    """Return whether the repair held and who says so: figures, then the image, a second inspection, the tool."""
    said = {
        "figures": run.verified,
        "printability": None if left is None else left.held,
        "inspection": None if again is None else not again,
        "tool": run.said,
    }
    by = next((name for name, value in said.items() if value is not None), None)
    held = said[by] if by is not None else None
    against = [name for name, value in said.items() if value is not None and value != held]
    image = None if left is None else asdict(left)
    return {"held": held, "by": by, "said": said, "disagree": against, "printed": image}


def _describe(run: RepairRun, joined: Joined, defects: _Defects, outcome: dict[str, Any]) -> dict[str, Any]:
    target = joined.defect
    return {
        **{name: getattr(run, name) for name in ("file", "tool", "recipe", "technique", "steps")},
        "started": None if run.started is None else run.started.isoformat(),
        "defect": None if target is None else defects.ids[target],
        "defect_name": None if target is None else defects.names[target],
        "defect_type": "" if target is None else defects.classes[target],
        "unit": run.unit,
        "join": {name: value for name, value in asdict(joined).items() if name != "defect"},
        **outcome,
        "measured": run.measured,
        "complaints": run.complaints,
    }


def _rates(known: list[tuple[RepairRun, dict[str, Any]]]) -> dict[str, Any]:
    """Return the rates by tool and recipe with the model that ships, and those by technique and type of defect."""
    timed = [(_recipe(run), bool(document["held"])) for run, document in known if run.started]
    numbers = {name: index for index, name in enumerate(dict.fromkeys(name for name, _ in timed))}
    judged = judge_models([numbers[name] for name, _ in timed], [held for _, held in timed])
    everyone = [(_recipe(run), bool(document["held"])) for run, document in known]
    by_type = [(f"{run.technique} / {document['defect_type']}", bool(document["held"])) for run, document in known]
    return {
        "judged": _judged_document(judged) | {"without_time": len(known) - len(timed)},
        "by_recipe": _rate_documents(everyone, judged.ships),
        "by_type": _rate_documents(by_type, judged.ships),
    }


def _flags(judged: dict[str, Any]) -> list[str]:
    chance = judged["p_calibrated"]
    if chance is not None and chance < _MISCALIBRATED:
        return [f"the probabilities do not keep what they say on later runs (Spiegelhalter's p = {chance:.2g})"]
    return []


def _recipe(run: RepairRun) -> str:
    return f"{run.tool} / {run.recipe}" if run.recipe else run.tool


def _judged_document(judged: Judged) -> dict[str, Any]:
    calibration = [{"predicted": predicted, "held": held, "runs": runs} for predicted, held, runs in judged.calibration]
    difference = judged.difference
    return {
        "ships": judged.ships,
        "reason": judged.reason,
        "judged": judged.judged,
        "scores": {name: asdict(score) for name, score in judged.scores.items()},
        "log_score_gain": None if difference is None else {"value": difference[0], "standard_error": difference[1]},
        "calibration": calibration,
        "p_calibrated": judged.p_calibrated,
    }


def _rate_documents(runs: list[tuple[str, bool]], model: str) -> list[dict[str, Any]]:
    """Return each group's rate by the model that ships, and its raw rate beside it."""
    names, good, total = count_groups(runs)
    if not names:
        return []
    raw = [raw_rate(*pair) for pair in zip(good, total, strict=True)]
    shown: list[Rate] = raw
    if model == "pooled":
        shown = pool_rates(np.array(good), np.array(total))
    elif model == "overall-rate":
        shown = [
            replace(raw_rate(sum(good), sum(total)), successes=g, runs=n) for g, n in zip(good, total, strict=True)
        ]
    return [
        {"group": name, **asdict(rate), "model": model, "raw": asdict(own)}
        for name, rate, own in zip(names, shown, raw, strict=True)
    ]


def _provenance(question: Question) -> dict[str, Any]:
    sources = [*question.logs, *question.defects, *question.after]
    grouped: dict[str, list[str]] = defaultdict(list)
    for name, part in (("logs", question.logs), ("defects", question.defects), ("after", question.after)):
        grouped[name] = [source.sha256 for source in part]
    return {
        "algorithm": "joins by id and place with covariance; beta-binomial partial pooling beside raw rates",
        "algorithm_version": OUTCOME_VERSION,
        "parameters": {
            **asdict(question.frame),
            "criteria": asdict(question.criteria),
            "sure": joining.SURE,
            "unlisted_ratio": joining.UNLISTED_RATIO,
            "conflict": joining.CONFLICT,
            "fewest_judged": success.FEWEST_JUDGED,
        },
        "conventions": {
            "outcome": "figures measured after the repair, then whether the image of what was left prints, then a "
            "second inspection, then the tool's own word",
            "split": "by time: each run is predicted from those before it, after the first third",
            "interval": "95 %, central",
            "criteria": question.criteria.source,
        },
        "inputs": sorted({*(source.sha256 for source in sources), *question.printed.inputs}),
        "inputs_by_role": dict(grouped),
        "adapters": sorted({source.adapter for source in sources}),
        "device": "cpu",
        "precision": "float64",
        "simulated": question.printed.simulated or any(_simulated(source) for source in sources),
    }


def _simulated(source: SourceTable) -> bool:
    log = source.table.vendor_metadata.get("log", {})
    return str(log.get("simulated", "")).lower() in ("true", "yes", "1") if isinstance(log, dict) else False
