"""The tables of single results: values, what functional tests add, and the failing bits of scan tests."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instruments.electrical.stdf_fields import Bits
from instruments.electrical.tester_items import GIVEN, Items
from instruments.electrical.tester_log import Integers, ResultBlock, TesterLog
from instruments.electrical.vocabulary import FUNCTIONAL_RESULT, SCAN_FAIL, TEST_RESULT
from instruments.records import Table

_TEXT = np.dtypes.StringDType()
_NO_VERDICT = 0x70
"""TEST_FLG: not executed, aborted, or completed without a verdict."""
_FAILED = 0x80
_UNUSABLE_TEST, _UNUSABLE_PARAMETER = 0x3F, 0x07
_ALTERNATE = 0x20
_FUNCTIONAL = ("functional", "scan")


@dataclass(frozen=True)
class Order:
    """How the elements of all blocks, one after another, are put into the order of the file.

    Attributes:
        records: of each element, its record's place in its block.
        first: of each element, whether it is its record's first.
        places: what to take, in the order of the file.
        row_of: for each kind, the row of each record's first element.
    """

    records: dict[str, Integers]
    elements: Integers
    places: Integers
    row_of: dict[str, Integers]


def order_results(blocks: list[ResultBlock]) -> Order:
    """Return the order of the elements of ``blocks`` by their place in the file."""
    records = {block.kind: np.repeat(np.arange(block.elements.size), block.elements) for block in blocks}
    empty = [np.empty(0, np.int64)]
    positions = np.concatenate([block.position[records[block.kind]] for block in blocks] or empty)
    starts = [np.cumsum(block.elements) - block.elements for block in blocks]
    elements = [
        np.arange(records[block.kind].size) - start[records[block.kind]]
        for block, start in zip(blocks, starts, strict=True)
    ]
    places = np.argsort(positions, kind="stable")
    rows = np.empty(places.size, np.int64)
    rows[places] = np.arange(places.size)
    row_of, before = {}, 0
    for block, start in zip(blocks, starts, strict=True):
        row_of[block.kind] = rows[before + start] if block.elements.size else np.empty(0, np.int64)
        before += records[block.kind].size
    return Order(records, np.concatenate(elements or empty), places, row_of)


def result_table(log: TesterLog, name: str, order: Order, owners: dict[str, Integers], items: Items) -> Table:
    """Return the ``test_result`` table; adds warnings about results that contradict their limits."""

    def gathered(values: dict[str, NDArray[Any]], dtype: Any = np.int64) -> NDArray[Any]:
        pieces = [values[block.kind][order.records[block.kind]] for block in log.blocks]
        return np.concatenate(pieces or [np.empty(0, dtype)])[order.places]

    recorded = np.concatenate([block.values for block in log.blocks] or [np.empty(0)])[order.places]
    states = np.concatenate([block.states for block in log.blocks] or [np.empty(0, np.int64)])[order.places]
    flags = gathered({block.kind: block.test_flags for block in log.blocks})
    parameters = gathered({block.kind: block.parameter_flags for block in log.blocks})
    item = gathered(items.of_record)
    valid = (flags & _UNUSABLE_TEST == 0) & (parameters & _UNUSABLE_PARAMETER == 0) & np.isfinite(recorded)
    verdict = flags & _NO_VERDICT == 0
    columns: dict[str, Any] = {
        "part_index": gathered(owners),
        "test_index": item,
        "value": np.where(valid, recorded, np.nan),
        "value_as_recorded": recorded,
        "valid": valid,
        "passed": verdict & (flags & _FAILED == 0),
        "failed": verdict & (flags & _FAILED != 0),
        "test_flags": flags,
        "parameter_flags": parameters,
    }
    if any(block.kind == "multiple" and block.number.size for block in log.blocks):
        elements = order.elements[order.places]
        sizes = gathered({block.kind: block.elements for block in log.blocks})
        columns |= {"element": elements, "pin_state": states, "pin_index": _pins(items, item, elements, sizes)}
    alarms = {block.kind: _texts(block, "ALARM_ID") for block in log.blocks}
    if any((texts != "").any() for texts in alarms.values()):
        columns["alarm"] = gathered(alarms, _TEXT)
    _check_limits(log, columns, items)
    return TEST_RESULT.make_table(name, columns)


def _texts(block: ResultBlock, field: str) -> NDArray[Any]:
    """Return a text of each record of ``block``."""
    different = np.asarray([str(item.get(field) or "").strip(" \x00") for item in block.definitions], _TEXT)
    chosen: NDArray[Any] = different[block.definition] if different.size else np.empty(0, _TEXT)
    return chosen


def _pins(items: Items, item: Integers, elements: Integers, sizes: Integers) -> Integers:
    """Return the pin of each element; -1 where the test names none or another number than its record has elements."""
    pins = np.full(item.size, -1, np.int64)
    for place, entry in enumerate(items.items):
        if entry.pins:
            which = np.flatnonzero((item == place) & (sizes == len(entry.pins)))
            pins[which] = np.asarray(entry.pins, np.int64)[elements[which]]
    return pins


def _check_limits(log: TesterLog, columns: dict[str, Any], items: Items) -> None:
    """Count results that passed outside their limits: flags, limits or scales would then not mean what they seem to."""
    if not items.items:
        return
    low, high = (
        np.asarray(
            [entry.values[f"{side}_limit"] if entry.values[f"{side}_limit_state"] == GIVEN else end
             for entry in items.items],
            np.float64,
        )[columns["test_index"]]
        for side, end in (("low", -np.inf), ("high", np.inf))
    )  # fmt: skip
    passed = columns["passed"] & columns["valid"] & (columns["parameter_flags"] & _ALTERNATE == 0)
    outside = int((passed & ((columns["value"] < low) | (columns["value"] > high))).sum())
    if outside:
        log.warnings.append(f"{outside} results passed although their value is outside the test's limits")


def functional_table(log: TesterLog, name: str, order: Order) -> Table | None:
    """Return what functional and scan tests say beside their verdict, ``None`` without such tests."""
    tables = []
    for block in log.blocks:
        if block.kind in _FUNCTIONAL and block.number.size:
            columns: dict[str, Any] = {"result_index": order.row_of[block.kind]}
            for column, field in (
                ("vector_name", "VECT_NAM"),
                ("time_set", "TIME_SET"),
                ("op_code", "OP_CODE"),
                ("program_text", "PROG_TXT"),
                ("result_text", "RSLT_TXT"),
            ):
                columns[column] = _texts(block, field)
            lists = [_lists(item) for item in block.definitions]
            for place, column in enumerate(("failing_pin_list", "returned_states", "programmed_states")):
                columns[column] = np.asarray([entry[place] for entry in lists], _TEXT)[block.definition]
            generator = [item.get("PATG_NUM") for item in block.definitions]
            known = [np.nan if value in (None, 255) else value for value in generator]
            columns["pattern_generator"] = np.asarray(known, np.float64)[block.definition]
            for column in ("cycle", "relative_address", "repeat_count", "failing_pins", "fail_x", "fail_y",
                           "vector_offset"):  # fmt: skip
                columns[column] = block.extras.get(column, np.full(block.number.size, np.nan))
            tables.append(columns)
    if not tables:
        return None
    merged = {column: np.concatenate([table[column] for table in tables]) for column in tables[0]}
    places = np.argsort(merged["result_index"], kind="stable")
    return FUNCTIONAL_RESULT.make_table(name, {column: values[places] for column, values in merged.items()})


def _lists(fields: dict[str, Any]) -> tuple[str, str, str]:
    bits = fields.get("FAIL_PIN")
    pins = ",".join(str(pin) for pin in bits.numbers()) if isinstance(bits, Bits) else str(bits or "")
    states = []
    for index, state in (("RTN_INDX", "RTN_STAT"), ("PGM_INDX", "PGM_STAT")):
        pairs = zip(fields.get(index) or (), fields.get(state) or (), strict=False)
        states.append(",".join(f"{pin}={value}" for pin, value in pairs))
    return pins, states[0], states[1]


def scan_table(log: TesterLog, name: str, order: Order) -> Table | None:
    """Return the failing bits of scan tests, ``None`` when there are none."""
    block = next((block for block in log.blocks if block.kind == "scan"), None)
    if block is None or not log.scan_fails:
        return None
    row_at = dict(zip(block.position.tolist(), order.row_of["scan"].tolist(), strict=True))
    columns: dict[str, list[Any]] = {column.name: [] for column in SCAN_FAIL.columns}
    for fails in log.scan_fails:
        length = max((len(values) for values in fails.columns.values()), default=0)
        columns["result_index"] += [row_at.get(fails.position, -1)] * length
        for column, values in columns.items():
            if column != "result_index":
                given = fails.columns.get(column) or []
                values += [*given, *[None] * (length - len(given))]
    return SCAN_FAIL.make_table(name, columns)
