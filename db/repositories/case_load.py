"""Work in progress and turnaround of a laboratory: where the open cases stand, how long the signed-off ones took."""

import statistics
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any

from sqlalchemy import Connection, false, func, select

from db.repositories.access import Action, Caller
from db.repositories.case_turnaround import Turnaround, measure
from db.schema.cases import STEP_KINDS, case_step, fa_case
from db.schema.people import account

MOST_OPEN = 200
MOST_CLOSED = 500
MOST_STEPS = 20000
CLOSED_WITHIN = timedelta(days=90)
NO_STEP = "no step under way"
SLOW = 0.9

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class CaseLoad:
    """``open_cases``: how many there are; ``open_rows``: of at most ``MOST_OPEN``, the oldest first.

    ``stages`` counts those rows by the kind of the step that is under way. ``closed`` is ``None`` without a case that
    was signed off within ``CLOSED_WITHIN``; of those, ``of_cases``, it measures the newest ``cases``: at most
    ``MOST_CLOSED``. Neither has more cases than have ``MOST_STEPS`` steps together, or one.
    """

    open_cases: int
    open_rows: Rows
    stages: dict[str, int]
    closed: dict[str, Any] | None


def read_load(connection: Connection, caller: Caller, now: datetime | None = None) -> CaseLoad:
    """Return the load in the programs whose records the caller may read, as of ``now`` (default: this moment)."""
    now = now or datetime.now(UTC)
    allowed = caller.restriction(Action.READ_RECORDS, fa_case.c.program_id)
    is_open = (fa_case.c.state == "open", allowed)
    count = int(connection.execute(select(func.count()).select_from(fa_case).where(*is_open)).scalar_one())
    rows = [_describe_open(*pair, now) for pair in _with_steps(connection, _open_query(is_open))]
    found = {row["stage"]: 0 for row in rows}
    for row in rows:
        found[row["stage"]] += 1
    stages = {kind: found[kind] for kind in (*STEP_KINDS, NO_STEP) if kind in found}
    return CaseLoad(count, rows, stages, _read_closed(connection, allowed, now))


def _read_closed(connection: Connection, allowed: Any, now: datetime) -> dict[str, Any] | None:
    is_recent = (fa_case.c.state == "closed", fa_case.c.closed_at > now - CLOSED_WITHIN, allowed)
    newest = select(fa_case).where(*is_recent).order_by(fa_case.c.closed_at.desc(), fa_case.c.id.desc())
    found = _with_steps(connection, newest.limit(MOST_CLOSED))
    if not found:
        return None
    count = connection.execute(select(func.count()).select_from(fa_case).where(*is_recent)).scalar_one()
    return _summarize(found) | {"of_cases": max(int(count), len(found))}


def list_open(connection: Connection, caller: Caller, most: int) -> Rows:
    """Return ``most`` open cases as :class:`CaseLoad` tells them: the caller's own, nobody's, then those of others."""
    conditions = (fa_case.c.state == "open", caller.restriction(Action.READ_RECORDS, fa_case.c.program_id))
    own = func.coalesce(fa_case.c.assigned_to_id == caller.account_id, false()).desc()
    query = _open_query(conditions).order_by(None)
    query = query.order_by(own, fa_case.c.assigned_to_id.is_(None).desc(), fa_case.c.id.desc()).limit(most)
    now = datetime.now(UTC)
    return [_describe_open(*pair, now) for pair in _with_steps(connection, query)]


def _open_query(conditions: Sequence[Any]) -> Any:
    joined = fa_case.outerjoin(account, account.c.id == fa_case.c.assigned_to_id)
    query = select(fa_case, account.c.name.label("assigned_to")).select_from(joined).where(*conditions)
    return query.order_by(fa_case.c.id).limit(MOST_OPEN)


def _with_steps(connection: Connection, query: Any) -> list[tuple[dict[str, Any], Rows]]:
    """Return the first cases of the query with all of their steps, the earliest first: ``MOST_STEPS``, or one case."""
    found = _first_within(connection, [dict(row) for row in connection.execute(query).mappings()])
    steps: dict[uuid.UUID, Rows] = {row["id"]: [] for row in found}
    if found:
        columns = (
            case_step.c.case_id,
            case_step.c.kind,
            case_step.c.person,
            case_step.c.began_at,
            case_step.c.ended_at,
        )
        chosen = select(*columns).where(case_step.c.case_id.in_(list(steps)))
        for row in connection.execute(chosen.order_by(case_step.c.began_at)).mappings():
            steps[row["case_id"]].append(dict(row))
    return [(row, steps[row["id"]]) for row in found]


def _first_within(connection: Connection, found: Rows) -> Rows:
    """Return as many of the first cases as have ``MOST_STEPS`` steps together; the first whatever it has."""
    if not found:
        return []
    counted = select(case_step.c.case_id, func.count()).where(case_step.c.case_id.in_([row["id"] for row in found]))
    counts = {case: int(count) for case, count in connection.execute(counted.group_by(case_step.c.case_id))}
    sums = accumulate(counts.get(row["id"], 0) for row in found)
    return [row for place, (row, steps) in enumerate(zip(found, sums, strict=True)) if not place or steps <= MOST_STEPS]


def _describe_open(row: Mapping[str, Any], steps: Rows, now: datetime) -> dict[str, Any]:
    under_way = [step for step in steps if step["ended_at"] is None and step["began_at"] <= now]
    current = under_way[-1] if under_way else None
    last = max((step["ended_at"] for step in steps if step["ended_at"] is not None), default=row["created_at"])
    taken = measure(row["created_at"], None, steps, now)
    return {
        "id": row["id"], "program_id": row["program_id"], "title": row["title"], "assigned_to": row["assigned_to"],
        "stage": current["kind"] if current else NO_STEP, "person": current["person"] if current else None,
        "since": current["began_at"] if current else last,
        "total_s": taken.total_s, "worked_s": taken.worked_s, "idle_s": taken.idle_s,
    }  # fmt: skip


def _summarize(found: Sequence[tuple[Mapping[str, Any], Rows]]) -> dict[str, Any]:
    taken = [measure(row["created_at"], row["closed_at"], steps) for row, steps in found]
    totals = sorted(each.total_s for each in taken)
    return {
        "cases": len(taken),
        "since": min(row["closed_at"] for row, _ in found),
        "total_median_s": statistics.median(totals),
        "total_slow_s": totals[min(len(totals) - 1, int(SLOW * len(totals)))],
        "worked_median_s": statistics.median(each.worked_s for each in taken),
        "worked_part": sum(each.worked_s for each in taken) / total if (total := sum(totals)) else None,
        "steps": _summarize_steps(taken),
    }


def _summarize_steps(taken: Sequence[Turnaround]) -> Rows:
    """Return, for each kind of step, in how many cases it was taken and the median of its time in those."""
    rows = []
    for kind in STEP_KINDS:
        times = [each.by_kind_s[kind] for each in taken if kind in each.by_kind_s]
        if times:
            rows.append({"kind": kind, "cases": len(times), "median_s": statistics.median(times)})
    return rows
