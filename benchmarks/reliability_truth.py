"""Published reliability answers against ours, case by case, from any file of that form.

A value holds when it is within the case's tolerance of the printed number and, where a recomputed value is given,
within 1e-5 of that relatively. A case that nothing here can compute is told as not held, with the reason; one that
holds only with a Boltzmann constant or a zero of Celsius that it does not name is told and counted apart. lifelines and
surpyval stand beside it where they are installed (extra ``bench``) and know the question.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from analysis.reliability.errors import LifeDataError
from benchmarks.reliability_trials import life, rates
from benchmarks.reliability_trials.case import CONVENTIONS, Case, Metric, Unsolved, deviation, read_cases, within
from benchmarks.reliability_trials.peers import peer_answers
from benchmarks.report import Row

RELATIVE = 1e-5

SOLVERS: dict[str, tuple[Callable[[Case], life.Answer], ...]] = {
    "rank_regression": (life.answer_rank_regression,),
    "competing_risks": (life.answer_competing_risks,),
    "reliability_growth": (rates.answer_growth,),
    "fit_af": (rates.answer_rates,),
    "test_plan": (rates.answer_plan,),
    "bayes": (rates.answer_bayes,),
    "burn_in": (rates.answer_burn_in, life.answer_plain),
    "physics": (rates.answer_physics,),
    "pat": (rates.answer_outlier_limits,),
    "degradation": (rates.answer_paths, life.answer_plain),
}


@dataclass(frozen=True)
class Outcome:
    """One metric of one case.

    Attributes:
        case, metric: which.
        ours: computed here; ``None`` where it could not be, and ``reason`` says why.
        published, recomputed: the file's.
        from_published, from_recomputed: relative distances.
        within_tolerance, within_relative: whether each is near enough; ``None`` where there is nothing to compare.
        peers: their values by name.
        convention: the constants that reproduce the case where it names none and the usual ones do not.
    """

    case: str
    metric: str
    ours: Any
    published: Any
    recomputed: Any
    from_published: float | None
    from_recomputed: float | None
    within_tolerance: bool
    within_relative: bool | None
    reason: str
    peers: dict[str, float]
    convention: str = ""

    @property
    def holds(self) -> bool:
        """Whether both comparisons hold, if need be under an assumed convention."""
        return self.within_tolerance and self.within_relative is not False

    @property
    def assumed(self) -> bool:
        """Whether it holds under a convention that was found because it fits, which is weaker evidence."""
        return self.holds and bool(self.convention)


def solvers(case: Case) -> tuple[Callable[[Case], life.Answer], ...]:
    """Return what may answer ``case``, by its kind and columns."""
    if case.family in SOLVERS:
        return SOLVERS[case.family]
    if case.family.startswith("alt") or (case.stresses and "x" in case.stresses):
        return (life.answer_stress,)
    return (life.answer_plain, life.answer_stress) if case.columns else (rates.answer_physics, rates.answer_plan)


def judge(case: Case, peers: bool) -> list[Outcome]:
    """Return the outcome of every metric of ``case``.

    Where a case that depends on the Boltzmann constant names none, those in use are tried; the one taken is told.
    """
    outcomes = judge_under(case, peers)
    if all(outcome.holds for outcome in outcomes) or case.names_conventions:
        return outcomes
    for constants in CONVENTIONS[1:]:
        other = judge_under(replace(case, assumed=constants), peers)
        if sum(each.holds for each in other) > sum(each.holds for each in outcomes):
            said = f"k={constants.boltzmann_ev_per_k:g} eV/K, 0 C={constants.zero_celsius_k:g} K"
            outcomes = [replace(each, convention=said) for each in other]
    return outcomes


def judge_under(case: Case, peers: bool) -> list[Outcome]:
    """Return the outcome of every metric of ``case`` under its own conventions."""
    answers: list[life.Answer] = []
    reasons = []
    for solver in solvers(case):
        try:
            answers.append(solver(case))
        except (Unsolved, LifeDataError, KeyError, ValueError) as error:
            reasons.append(str(error))
    beside = peer_answers(case) if peers else {}
    return [_outcome(case, metric, answers, reasons, beside) for metric in case.metrics]


def _outcome(
    case: Case, metric: Metric, answers: list[life.Answer], before: list[str], beside: dict[str, dict[str, float]]
) -> Outcome:
    reasons, value = list(before), None
    for answer in answers:
        try:
            value = answer(metric.name)
            break
        except (Unsolved, LifeDataError, KeyError, ValueError) as error:
            reasons.append(str(error) or type(error).__name__)
    peers = {peer: found[metric.name] for peer, found in beside.items() if metric.name in found}
    if value is None:
        reason = "; ".join(dict.fromkeys(reasons))
        return Outcome(
            case.name, metric.name, None, metric.published, metric.recomputed, None, None, False, None, reason, peers
        )
    near = None if metric.recomputed is None else deviation(value, metric.recomputed)
    return Outcome(
        case.name,
        metric.name,
        value,
        metric.published,
        metric.recomputed,
        deviation(value, metric.published),
        near,
        within(value, metric),
        None if near is None else near <= RELATIVE,
        "",
        peers,
    )


def find_cases() -> Path:
    """Return the file of cases kept beside the project, or refuse."""
    root = os.environ.get("FAULTLIGHT_SHARED_DATA")
    shared = Path(root) if root else Path(__file__).resolve().parents[2] / "shared" / "data"
    path = shared / "reliability" / "truth" / "cases.json"
    if not path.is_file():
        raise SystemExit("no file of cases: give one with --cases FILE")
    return path


def main() -> None:
    """Print the table; exit 1 when a metric does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=Path, help="a file of cases; default: the one beside the project")
    parser.add_argument("--json", action="store_true", help="machine output on standard output and nothing else")
    parser.add_argument("--no-peers", action="store_true", help="leave lifelines and surpyval out")
    arguments = parser.parse_args()
    started = time.perf_counter()
    outcomes = [
        outcome
        for case in read_cases(arguments.cases or find_cases())
        for outcome in judge(case, not arguments.no_peers)
    ]
    seconds = time.perf_counter() - started
    if arguments.json:
        sys.stdout.write(json.dumps(_documents(outcomes), indent=1) + "\n")
    else:
        _print(outcomes, seconds)
    sys.exit(0 if all(outcome.holds for outcome in outcomes) else 1)


def _documents(outcomes: list[Outcome]) -> list[dict[str, Any]]:
    """Return the row of all metrics together, and one of detail for each."""
    held = sum(outcome.holds for outcome in outcomes)
    assumed = sum(outcome.assumed for outcome in outcomes)
    claim = f"published reliability answers: {told(outcomes)}"
    documents = [Row(claim, held / max(len(outcomes), 1), "part", ">= 1").to_document()]
    claim = "metrics that hold only with a constant that their case does not name"
    documents.append(Row(claim, float(assumed), "metrics").to_document())
    for outcome in outcomes:
        row = Row(f"{outcome.case}: {outcome.metric}", float(outcome.holds), "held", ">= 1").to_document()
        peers = {peer: value if np.isfinite(value) else None for peer, value in outcome.peers.items()}
        documents.append(row | {"detail": True, "assumed": outcome.assumed} | asdict(outcome) | {"peers": peers})
    return documents


def told(outcomes: list[Outcome]) -> str:
    """Return in words how many of ``outcomes`` hold, those under an assumed convention apart."""
    held, assumed = sum(one.holds for one in outcomes), sum(one.assumed for one in outcomes)
    apart = f", {assumed} of them only with a constant that the case does not name" if assumed else ""
    return f"{held} of {len(outcomes)} metrics hold{apart}"


def _print(outcomes: list[Outcome], seconds: float) -> None:
    names = sorted({peer for outcome in outcomes for peer in outcome.peers})
    table = Table()
    for heading in ("case", "metric", "ours", "published", "off recomputed", "holds", *names):
        table.add_column(heading, overflow="fold")
    for outcome in outcomes:
        off = "" if outcome.from_recomputed is None else f"{outcome.from_recomputed:.1e}"
        table.add_row(
            outcome.case,
            outcome.metric + (f" ({outcome.convention})" if outcome.convention else ""),
            outcome.reason or _short(outcome.ours),
            _short(outcome.published),
            off,
            "assumed" if outcome.assumed else "yes" if outcome.holds else "NO",
            *(_short(outcome.peers.get(name)) for name in names),
        )
    console = Console(width=170)
    console.print(table)
    cases = {outcome.case for outcome in outcomes}
    whole = sum(all(each.holds for each in outcomes if each.case == case) for case in cases)
    console.print(f"{told(outcomes)}; {whole} of {len(cases)} cases hold, in {seconds:.1f} s")


def _short(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return "[" + ", ".join(_short(each) for each in value[:3]) + (", …]" if len(value) > 3 else "]")
    return f"{value:.7g}"


if __name__ == "__main__":
    main()
