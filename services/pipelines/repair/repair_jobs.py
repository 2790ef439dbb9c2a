"""The jobs on stored repair logs and measurements: hand-offs, what logs teach, how repairs went, and maps of masks."""

from collections.abc import Iterator, Mapping
from typing import Any

from db.repositories.results import NewFinding
from services.pipelines.computation import analyse
from services.pipelines.context import Completion, JobContext
from services.pipelines.repair.advice_request import AdviceRequest
from services.pipelines.repair.repair_constants import GivenConstant
from services.pipelines.repair.repair_requests import (
    HandoffQuestion,
    LearningRequest,
    MetrologyRequest,
    OutcomeRequest,
    PlanRequest,
)
from services.pipelines.stored_answer import load_result
from services.pipelines.table_job import load_tables, store_document


def run_handoff(context: JobContext) -> Completion:
    """Handle a job of the kind ``handoff``: plan with the constants that are known, or learn those of a log first.

    Raises:
        JobRefused: there is no such log or result, nothing can be learned, or the question lies outside the model.
    """
    from services.pipelines.repair.handoff import plan_handoff  # noqa: PLC0415  (numerics load in workers only)

    payload = context.claimed.payload
    if "table_id" in payload:
        return _learn_and_plan(context)
    question = HandoffQuestion.model_validate(payload["question"])
    learned: dict[str, Any] = {"constants": [], "provenance": {"simulated": False}}
    if question.learning_result_id is not None:
        learned = load_result(context, question.learning_result_id, "repair-learning")
    given = [GivenConstant.model_validate(row) for row in learned["constants"]]

    def compute(_progress: Any) -> dict[str, Any]:
        plan = plan_handoff(question.handoff, given)
        named = [] if question.learning_result_id is None else [str(question.learning_result_id)]
        simulated = plan["provenance"]["simulated"] or bool(learned["provenance"]["simulated"])
        inputs = [*plan["provenance"]["inputs"], *named]
        return plan | {"provenance": plan["provenance"] | {"inputs": inputs, "simulated": simulated}}

    document = analyse(context, compute)
    return lambda unit: store_document(unit, context, document, _of_handoff(document))


def _learn_and_plan(context: JobContext) -> Completion:
    """Learn the constants of a log and plan with them."""
    from services.pipelines.repair.handoff import plan_handoff  # noqa: PLC0415  (numerics load in workers only)
    from services.pipelines.repair.repair_learning import learn_tables  # noqa: PLC0415

    payload = context.claimed.payload
    request = PlanRequest.model_validate(payload["question"])
    sources = load_tables(context, [payload["table_id"], *request.other_table_ids], "repair_step")

    def compute(progress: Any) -> dict[str, Any]:
        progress(0.1, "learning from the runs")
        learned = learn_tables(sources, request.handoff.material, request.handoff.constants)
        progress(0.6, "planning")
        given = [GivenConstant.model_validate(row) for row in learned["constants"]]
        plan = plan_handoff(request.handoff, given)
        inputs = sorted({*plan["provenance"]["inputs"], *learned["provenance"]["inputs"]})
        simulated = learned["provenance"]["simulated"]
        return plan | {
            "learned": learned["learned"],
            "not_used": learned["not_used"],
            "provenance": plan["provenance"]
            | {"inputs": inputs, "simulated": simulated, "adapters": learned["provenance"]["adapters"]},
        }

    document = analyse(context, compute)
    return lambda unit: store_document(unit, context, document, _of_handoff(document))


def run_learning(context: JobContext) -> Completion:
    """Handle a job of the kind ``repair-learning``.

    Raises:
        JobRefused: there is no such log, or nothing can be learned from it.
    """
    from services.pipelines.repair.repair_learning import learn_tables  # noqa: PLC0415

    payload = context.claimed.payload
    request = LearningRequest.model_validate(payload["question"])
    sources = load_tables(context, [payload["table_id"], *request.other_table_ids], "repair_step")
    document = analyse(context, lambda _progress: learn_tables(sources, request.material, request.constants))
    return lambda unit: store_document(unit, context, document, _of_learning(document))


def run_outcome(context: JobContext) -> Completion:
    """Handle a job of the kind ``repair-outcome``.

    Raises:
        JobRefused: there is no such log, inspection or result, or the log holds no run.
    """
    from services.pipelines.repair.printed_repairs import gather_printed  # noqa: PLC0415
    from services.pipelines.repair.repair_outcomes import Frame, Question, judge_repairs  # noqa: PLC0415
    from services.pipelines.repair.repair_records import Criteria  # noqa: PLC0415

    payload = context.claimed.payload
    request = OutcomeRequest.model_validate(payload["question"])
    logs = load_tables(context, [payload["table_id"], *request.other_table_ids], "repair_step")
    lists = [
        load_tables(context, [identity] if identity is not None else [], "mask_defect")
        for identity in (request.defect_table_id, request.after_table_id)
    ]
    frame = Frame(request.same_frame, request.sigma_um, request.sigma_um)
    named = [str(each) for each in request.printability_result_ids]
    answers = [(str(each), load_result(context, each, "printability")) for each in request.printability_result_ids]
    criteria = Criteria(**request.criteria.model_dump())

    def compute(_progress: Any) -> dict[str, Any]:
        printed = gather_printed(answers, named)
        return judge_repairs(Question(logs, lists[0], lists[1], frame, criteria, printed))

    document = analyse(context, compute)
    return lambda unit: store_document(unit, context, document, _of_outcome(document))


def run_metrology(context: JobContext) -> Completion:
    """Handle a job of the kind ``metrology``.

    Raises:
        JobRefused: there is no such table, or its scale or tone is not known.
    """
    from services.pipelines.mask.mask_metrology import Convention, map_tables  # noqa: PLC0415

    payload = context.claimed.payload
    request = MetrologyRequest.model_validate(payload["question"])
    sources = load_tables(context, [payload["table_id"], *request.other_table_ids], "metrology_site")

    def compute(_progress: Any) -> dict[str, Any]:
        return map_tables(sources, Convention(request.scale, request.magnification, request.tone))

    document = analyse(context, compute)
    return lambda unit: store_document(unit, context, document, _of_metrology(document))


def run_advice(context: JobContext) -> Completion:
    """Handle a job of the kind ``repair-advice``.

    Raises:
        JobRefused: tone and type contradict each other, or there is no such record.
    """
    from analysis.repair.advice import Question  # noqa: PLC0415
    from services.pipelines.repair.repair_advice import Basis, advise_on  # noqa: PLC0415

    request = AdviceRequest.model_validate(context.claimed.payload["question"])
    outcome = None
    if request.outcome_result_id is not None:
        outcome = load_result(context, request.outcome_result_id, "repair-outcome")
    question = Question(request.defect_type, request.size_nm, request.tone, request.layer)
    inputs = () if request.outcome_result_id is None else (str(request.outcome_result_id),)
    document = analyse(context, lambda _progress: advise_on(question, Basis(request.own, outcome, inputs)))
    return lambda unit: store_document(unit, context, document, _of_advice(document))


def _of_advice(document: Mapping[str, Any]) -> Iterator[NewFinding]:
    """Yield every technique, those that are advised first."""
    order = {technique: rank for rank, technique in enumerate(document["advised"])}
    opinions = sorted(document["opinions"], key=lambda each: order.get(each["technique"], len(order)))
    for rank, each in enumerate(opinions, 1):
        record = each["record"]
        evidence = {name: each[name] for name in ("status", "reasons", "missing", "record")}
        yield NewFinding(
            "technique", rank, each["technique"], None, None if record is None else record["probability"],
            None if record is None else (record["low"], record["high"]), evidence,
        )  # fmt: skip


def _of_handoff(document: Mapping[str, Any]) -> Iterator[NewFinding]:
    plan = document["handoff"]
    low, high = plan["depth_um"]["interval95"]
    evidence = {"margin_um": document["margin_um"], "flags": document["flags"], "passes": plan["passes"]}
    yield NewFinding("handoff", 1, document["law"], plan["depth_um"]["median"], plan["p_damage"], (low, high), evidence)


def _of_learning(document: Mapping[str, Any]) -> Iterator[NewFinding]:
    """Yield every constant with its interval, then the runs that stand out."""
    quantities = [row for part in document["learned"] for row in part["quantities"]]
    for rank, row in enumerate(quantities, 1):
        after = row["posterior"]
        yield NewFinding(
            "constant", rank, row["key"], after["value"], None, (after["low"], after["high"]), {"prior": row["prior"]}
        )
    outliers = [run for part in document["learned"] for run in part["outliers"]]
    for rank, run in enumerate(outliers, 1):
        yield NewFinding("outlying_run", rank, f"{run['file']}, step {run['step']}", probability=run["p_outlying"])


def _of_outcome(document: Mapping[str, Any]) -> Iterator[NewFinding]:
    """Yield every tool and recipe, the least successful first."""
    for rank, row in enumerate(sorted(document["by_recipe"], key=lambda item: float(item["probability"])), 1):
        evidence = {"model": row["model"], "raw": row["raw"], "runs": row["runs"], "successes": row["successes"]}
        yield NewFinding(
            "repair_success", rank, row["group"], None, row["probability"], (row["low"], row["high"]), evidence
        )


def _of_metrology(document: Mapping[str, Any]) -> Iterator[NewFinding]:
    """Yield the figures that move."""
    moving = [trend for trend in document["trends"] if trend["moves"]]
    for rank, trend in enumerate(moving, 1):
        slope, low, high = trend["slope_per_day"]
        yield NewFinding(
            "trend", rank, f"{trend['mask_id']} {trend['figure']}", slope, None, (low, high), {"p": trend["p_adjusted"]}
        )
