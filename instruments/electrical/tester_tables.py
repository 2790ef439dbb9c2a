"""A tester's log as tables: the run, its tests, parts, results, pins, wafers and bins."""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instruments.electrical import tester_totals as totals
from instruments.electrical.stdf_fields import Bits
from instruments.electrical.tester_items import Items, resolve
from instruments.electrical.tester_log import Integers, ResultBlock, TesterLog
from instruments.electrical.tester_parts import Part, Wafer, assign_results, find_parts, find_wafers, place_of
from instruments.electrical.tester_results import functional_table, order_results, result_table, scan_table
from instruments.electrical.vocabulary import BIN_SUMMARY, TEST_ITEM, TEST_PART, TEST_PIN, TEST_RUN, TEST_WAFER
from instruments.errors import CorruptField
from instruments.records import Table
from instruments.vocabulary import Remarks

_NOT_EXECUTED = 0x10
_BURN_IN_UNKNOWN = 65535
_ABNORMAL = 0x04
_TABLED = frozenset({"PIR", "PRR", "TSR", "HBR", "SBR", "PMR"})
"""Records whose fields are in the tables; all others are kept verbatim in the run's metadata."""
_KEPT_OF_A_KIND = 1000


def make_tables(log: TesterLog) -> list[Table]:
    """Return the tables of ``log``, the run first; those without rows are left out.

    Raises:
        CorruptField: parts do not pair, or a result belongs to none.
    """
    parts = find_parts(log)
    wafers = find_wafers(log, parts)
    items = resolve(log.blocks)
    owners = {block.kind: assign_results(parts, block) for block in log.blocks}
    log.blocks = [_drop_definitions(log, block, owners, items) for block in log.blocks]
    results_of_part = _count_results(owners, len(parts))
    totals.check_totals(log, parts, wafers)
    totals.check_executions(log, parts, results_of_part)
    if items.several_names:
        numbers = ", ".join(str(number) for number in sorted(items.several_names)[:5])
        log.warnings.append(f"{len(items.several_names)} test numbers have more than one name: {numbers}")
    order = order_results(log.blocks)
    rows = int(sum(int(block.elements.sum()) for block in log.blocks))
    name = Path(log.name).stem or "test"
    tables = [
        result_table(log, name, order, owners, items),
        _item_table(log, name, items),
        _part_table(name, parts, results_of_part),
        _wafer_table(name, wafers, parts),
        _bin_table(log, name, parts),
        _pin_table(log, name),
        functional_table(log, name, order),
        scan_table(log, name, order),
    ]
    run = _run_table(log, name, len(parts), rows)
    named = (replace(table, name=f"{name} {table.kind}") for table in tables if table is not None and table.row_count)
    return [run, *named]


def _drop_definitions(log: TesterLog, block: ResultBlock, owners: dict[str, Integers], items: Items) -> ResultBlock:
    """Leave out records that only define a test: not executed and of no part. Other results of no part are refused."""
    owner = owners[block.kind]
    only = (owner < 0) & (block.test_flags & _NOT_EXECUTED != 0)
    lost = np.flatnonzero((owner < 0) & ~only)
    if lost.size:
        first = int(lost[0])
        message = f"a result of test {block.number[first]} on head {block.head[first]} site {block.site[first]}"
        message += " stands between no beginning (PIR) and end (PRR) of a part"
        raise CorruptField(message, file=log.name, offset=int(block.position[first]), offset_unit=log.offset_unit)
    if not only.any():
        return block
    log.metadata["definition_only_records"] = log.metadata.get("definition_only_records", 0) + int(only.sum())
    keep = ~only
    owners[block.kind] = owner[keep]
    items.of_record[block.kind] = items.of_record[block.kind][keep]
    return block.kept(keep)


def _count_results(owners: Mapping[str, Integers], parts: int) -> Integers:
    counts = np.zeros(parts, np.int64)
    for owner in owners.values():
        counts += np.bincount(owner[owner >= 0], minlength=parts)
    return counts


def local_time(seconds: Any) -> str:
    """Return seconds since 1970 of the tester's own clock as ISO 8601 without a zone; ``""`` for 0 and none."""
    if not seconds:
        return ""
    return datetime.fromtimestamp(int(seconds), UTC).replace(tzinfo=None).isoformat()


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip(" \x00")


def _run_table(log: TesterLog, name: str, parts: int, rows: int) -> Table:
    head: Mapping[str, Any] = next((record.fields for record in log.of("MIR")), {})
    tail: Mapping[str, Any] = next((record.fields for record in log.of("MRR")), {})
    if not log.complete:
        log.warnings.append("the file has no MRR record: it may have been cut, or the run never ended")
    if not any(True for _ in log.of("MIR")):
        log.warnings.append("the file has no MIR record: lot, product and program are unknown")
    burn_in = head.get("BURN_TIM")
    texts = {
        "lot_id": "LOT_ID",
        "sublot_id": "SBLOT_ID",
        "part_type": "PART_TYP",
        "program": "JOB_NAM",
        "program_revision": "JOB_REV",
        "tester": "NODE_NAM",
        "tester_type": "TSTR_TYP",
        "operator": "OPER_NAM",
        "mode": "MODE_COD",
        "retest": "RTST_COD",
        "test_step": "TEST_COD",
        "temperature": "TST_TEMP",
    }
    columns: dict[str, Any] = {column: [_text(head.get(field))] for column, field in texts.items()}
    columns |= {
        "station": [head.get("STAT_NUM")],
        "burn_in_min": [None if burn_in == _BURN_IN_UNKNOWN else burn_in],
        "setup_at": [local_time(head.get("SETUP_T"))],
        "started_at": [local_time(head.get("START_T"))],
        "finished_at": [local_time(tail.get("FINISH_T"))],
        "parts": [parts],
        "results": [rows],
        "complete": [log.complete],
    }
    metadata = {"form": log.form, "record_counts": log.counts} | log.metadata | {"records": _verbatim(log)}
    return TEST_RUN.make_table(name, columns, Remarks(metadata, tuple(log.warnings)))


def _verbatim(log: TesterLog) -> dict[str, list[dict[str, Any]]]:
    """Return the records that no table has, by name; of many alike only the first, with a warning."""
    kept: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    left: Counter[str] = Counter()
    for record in log.records:
        if record.name in _TABLED:
            continue
        if len(kept[record.name]) < _KEPT_OF_A_KIND:
            kept[record.name].append({name: _plain(value) for name, value in record.fields.items()})
        else:
            left[record.name] += 1
    for name, count in sorted(left.items()):
        log.warnings.append(f"{count} {name} records beyond the first {_KEPT_OF_A_KIND} are not in the metadata")
    return dict(kept)


def _plain(value: Any) -> Any:
    """Return ``value`` as JSON can hold it."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Bits) else value


def _item_table(log: TesterLog, name: str, items: Items) -> Table:
    counts: NDArray[Any] = np.zeros(len(items.items), np.int64)
    for block in log.blocks:
        counts += np.bincount(items.of_record[block.kind], block.elements, minlength=len(items.items)).astype(np.int64)
    names = {int(record.fields["TEST_NUM"]): record.fields for record in log.of("TSR") if "TEST_NUM" in record.fields}
    declared = {
        "executions_declared": totals.summaries(log, "EXEC_CNT"),
        "failures_declared": totals.summaries(log, "FAIL_CNT"),
        "alarms_declared": totals.summaries(log, "ALRM_CNT"),
    }
    rows: list[dict[str, Any]] = []
    for item, count in zip(items.items, counts.tolist(), strict=True):
        row = dict(item.values)
        row["name"] = row["name"] or _text(names.get(item.number, {}).get("TEST_NAM"))
        row |= {"test_number": item.number, "kind": item.kind, "is_default": item.is_default, "results": count}
        row |= {key: values.get(item.number) if item.is_default else None for key, values in declared.items()}
        rows.append(row)
    seen = {item.number for item in items.items}
    kinds = {"P": "parametric", "F": "functional", "M": "multiple", "S": "scan"}
    for number, fields in names.items():
        if number not in seen:
            row = {"test_number": number, "kind": kinds.get(fields.get("TEST_TYP", ""), "unknown"), "results": 0}
            row |= {"name": _text(fields.get("TEST_NAM")), "is_default": True}
            row |= {"low_limit_state": "unknown", "high_limit_state": "unknown"}
            rows.append(row | {key: values.get(number) for key, values in declared.items()})
    columns = {column.name: [row.get(column.name) for row in rows] for column in TEST_ITEM.columns}
    return TEST_ITEM.make_table(name, columns)


def _part_table(name: str, parts: list[Part], results: Integers) -> Table:
    places = [place_of(part) or (None, None) for part in parts]
    verdicts = [totals.verdict_of(part) for part in parts]
    times = [part.fields.get("TEST_T") for part in parts]
    columns = {
        "part_id": [_text(part.fields.get("PART_ID")) for part in parts],
        "head": [part.head for part in parts],
        "site": [part.site for part in parts],
        "wafer_index": [part.wafer for part in parts],
        "x": [x for x, _ in places],
        "y": [y for _, y in places],
        "hard_bin": [totals.bin_of(part, "HARD_BIN") for part in parts],
        "soft_bin": [totals.bin_of(part, "SOFT_BIN") for part in parts],
        "passed": [passed for passed, _ in verdicts],
        "failed": [failed for _, failed in verdicts],
        "finished": [part.finished for part in parts],
        "abnormal_end": [bool((part.fields.get("PART_FLG") or 0) & _ABNORMAL) for part in parts],
        "superseded": [part.superseded for part in parts],
        "tests_declared": [part.fields.get("NUM_TEST") for part in parts],
        "results": results,
        "test_time_s": [time / 1000 if time else None for time in times],
        "text": [_text(part.fields.get("PART_TXT")) for part in parts],
        "repair": [_text(part.fields.get("PART_FIX")) for part in parts],
    }
    return TEST_PART.make_table(name, columns)


def _wafer_table(name: str, wafers: list[Wafer], parts: list[Part]) -> Table:
    members = Counter(part.wafer for part in parts)
    columns: dict[str, Any] = {
        "wafer_id": [_text(wafer.result.get("WAFER_ID") or wafer.start.get("WAFER_ID")) for wafer in wafers],
        "head": [wafer.head for wafer in wafers],
        "site_group": [wafer.group for wafer in wafers],
        "started_at": [local_time(wafer.start.get("START_T")) for wafer in wafers],
        "finished_at": [local_time(wafer.result.get("FINISH_T")) for wafer in wafers],
        "parts": [members[index] for index in range(len(wafers))],
    }
    for column, field in (
        ("parts_declared", "PART_CNT"),
        ("retests_declared", "RTST_CNT"),
        ("aborts_declared", "ABRT_CNT"),
        ("good_declared", "GOOD_CNT"),
        ("functional_declared", "FUNC_CNT"),
    ):
        columns[column] = [totals.count_of(wafer.result, field) for wafer in wafers]
    for column, field in (("fab_wafer_id", "FABWF_ID"), ("frame_id", "FRAME_ID"), ("mask_id", "MASK_ID")):
        columns[column] = [_text(wafer.result.get(field)) for wafer in wafers]
    return TEST_WAFER.make_table(name, columns)


def _bin_table(log: TesterLog, name: str, parts: list[Part]) -> Table:
    rows: list[tuple[Any, ...]] = []
    for summary, kind, field in (("HBR", "hard", "HARD_BIN"), ("SBR", "soft", "SOFT_BIN")):
        prefix = "HBIN" if kind == "hard" else "SBIN"
        tally = totals.tally_bins(parts, field)
        listed = set()
        for record in log.of(summary):
            scope, code = totals.scope_of(record.fields), record.fields.get(f"{prefix}_NUM")
            listed.add((*scope, code))
            quality = {"P": "pass", "F": "fail"}.get(_text(record.fields.get(f"{prefix}_PF")), "")
            declared = totals.count_of(record.fields, f"{prefix}_CNT")
            label = _text(record.fields.get(f"{prefix}_NAM"))
            rows.append((kind, str(code), label, quality, *scope, declared, tally[*scope, code]))
        for (head, site, code), count in sorted(tally.items(), key=str):
            if head is None and (head, site, code) not in listed:
                rows.append((kind, str(code), "", "", None, None, None, count))
    names = ("bin_type", "bin", "name", "quality", "head", "site", "count_declared", "count")
    return BIN_SUMMARY.make_table(name, {key: [row[place] for row in rows] for place, key in enumerate(names)})


def _pin_table(log: TesterLog, name: str) -> Table:
    groups: defaultdict[int, list[str]] = defaultdict(list)
    for record in log.of("PGR"):
        label = _text(record.fields.get("GRP_NAM")) or str(record.fields.get("GRP_INDX"))
        for pin in record.fields.get("PMR_INDX") or ():
            if label not in groups[int(pin)]:
                groups[int(pin)].append(label)
    fields = [record.fields for record in log.of("PMR")]
    pins = [int(pin.get("PMR_INDX", -1)) for pin in fields]
    known = set(pins)
    strange = sorted(set(groups) - known)
    if strange:
        log.warnings.append(f"{len(strange)} pins are in a group but have no record of their own: {strange[:5]}")
    kinds = [pin.get("CHAN_TYP") for pin in fields]
    columns = {
        "pin_index": pins,
        "channel_type": [None if isinstance(kind, str) else kind for kind in kinds],
        "channel": [_text(pin.get("CHAN_NAM")) for pin in fields],
        "physical_name": [_text(pin.get("PHY_NAM")) for pin in fields],
        "logical_name": [_text(pin.get("LOG_NAM")) for pin in fields],
        "head": [int(pin.get("HEAD_NUM", 1)) for pin in fields],
        "site": [int(pin.get("SITE_NUM", 1)) for pin in fields],
        "groups": [",".join(groups.get(pin, ())) for pin in pins],
    }
    texts = [kind if isinstance(kind, str) else "" for kind in kinds]
    others = {"channel_type_text": (np.asarray(texts, np.dtypes.StringDType()), "")} if any(texts) else {}
    return TEST_PIN.make_table(name, columns, other=others)
