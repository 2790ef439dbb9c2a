"""Decoding the scan tests (STR) of an STDF V4-2007 file: a test may go on over several records.

The specification contradicts itself about which bits of FMU_FLG leave out the two bit maps, and readers differ. A
record is read where exactly one way of leaving them out ends at its last byte, and refused otherwise.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from instruments.electrical.stdf_fields import Cursor, decode
from instruments.electrical.stdf_layouts import BY_NAME, Layout
from instruments.electrical.stdf_walk import Walk
from instruments.electrical.tester_log import ResultBlock, ScanFails
from instruments.errors import CorruptField, UnsupportedVersion

_HEADER_BYTES = 4
_CONTINUED = 0x01
_MAPS = ("MASK_MAP", "FAL_MAP")
_STR = BY_NAME["STR"]
_LAYOUTS = tuple(
    Layout("STR", tuple(item for item in _STR.fields if item.name not in left_out))
    for left_out in ((), ("MASK_MAP",), ("FAL_MAP",), _MAPS)
)
_ARRAYS = {
    "cycle": ("CYC_OFST", "CYC_BASE"),
    "pin_index": ("PMR_INDX", ""),
    "chain": ("CHN_NUM", ""),
    "pattern": ("PAT_NUM", ""),
    "bit": ("BIT_POS", "BIT_BASE"),
    "expected": ("EXP_DATA", ""),
    "captured": ("CAP_DATA", ""),
    "new_state": ("NEW_DATA", ""),
    "text": ("USER_TXT", ""),
}
"""Column to its array, and the number that is added to each of its elements."""
_OWN = ("TEST_NUM", "HEAD_NUM", "SITE_NUM")


@dataclass
class ScanTest:
    """One scan test: the fields of its first record, and the failing bits of all of its records."""

    position: int
    fields: dict[str, Any]
    columns: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in _ARRAYS})
    logged: int = 0


def read_scan(walk: Walk, name: str) -> tuple[ResultBlock, list[ScanFails], list[str]]:
    """Return all scan tests of the file ``name``, their failing bits, and doubts.

    Raises:
        CorruptField: a test that is continued does not go on, or its arrays differ in length.
        UnsupportedVersion: the fields of a record do not fill it, or more than one way of reading does.
    """
    tests: list[ScanTest] = []
    open_test: ScanTest | None = None
    for position in walk.of("STR").tolist():
        fields = _decode(walk, position, name)
        if open_test is None:
            open_test = ScanTest(position, fields)
            tests.append(open_test)
        elif any(fields[key] != open_test.fields[key] for key in _OWN):
            message = "a scan test that is continued is followed by another"
            found = "test {}, head {}, site {}".format(*(fields[key] for key in _OWN))
            expected = "test {}, head {}, site {}".format(*(open_test.fields[key] for key in _OWN))
            raise CorruptField(message, file=name, offset=position, expected=expected, found=found)
        _append(open_test, fields, position, name)
        if not fields["CONT_FLG"] & _CONTINUED:
            open_test = None
    if open_test is not None:
        message = "a scan test is to be continued and is not"
        raise CorruptField(message, file=name, offset=open_test.position, found=f"test {open_test.fields['TEST_NUM']}")
    fails = [ScanFails(test.position, test.columns) for test in tests if test.logged]
    return _block(tests), fails, _doubts(tests)


def _decode(walk: Walk, position: int, name: str) -> dict[str, Any]:
    length = int.from_bytes(walk.data[position : position + 2], "little" if walk.order == "<" else "big")
    span = (position + _HEADER_BYTES, position + _HEADER_BYTES + length)
    readings: list[dict[str, Any]] = []
    for layout in _LAYOUTS:
        cursor = Cursor(walk.data, span, walk.order, "STR")
        try:
            fields = decode(layout, cursor)
        except CorruptField:
            continue
        if cursor.position == cursor.end and "BIT_BASE" in fields and _is_even(fields):
            readings.append(fields)
    distinct = [item for place, item in enumerate(readings) if _core(item) not in map(_core, readings[:place])]
    if len(distinct) != 1:
        message = "a scan test is not read: its fields do not fill the record in exactly one way"
        raise UnsupportedVersion(message, file=name, offset=position, expected=1, found=len(distinct))
    return distinct[0]


def _core(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key not in _MAPS}


def _lengths(fields: dict[str, Any]) -> set[int]:
    return {len(fields.get(array, ())) for array, _ in _ARRAYS.values()} - {0}


def _is_even(fields: dict[str, Any]) -> bool:
    return len(_lengths(fields)) <= 1


def _append(test: ScanTest, fields: dict[str, Any], position: int, name: str) -> None:
    count = max(_lengths(fields), default=0)
    for column, (array, base) in _ARRAYS.items():
        values = fields.get(array, [])
        if test.logged and count and bool(values) != any(item is not None for item in test.columns[column]):
            message = f"a scan test goes on with other arrays than it began with ({array})"
            raise CorruptField(message, file=name, offset=position)
        added = [value + fields[base] for value in values] if base else values
        test.columns[column] += added or [None] * count
    test.logged += count


def _doubts(tests: list[ScanTest]) -> list[str]:
    wrong = [test for test in tests if test.fields["TOTL_CNT"] != test.logged]
    if not wrong:
        return []
    declared, logged = wrong[0].fields["TOTL_CNT"], wrong[0].logged
    number = wrong[0].fields["TEST_NUM"]
    return [
        f"scan fails: {len(wrong)} of {len(tests)} scan tests log another number of fails than they declare, "
        f"test {number} first ({declared} declared, {logged} in the file)"
    ]


def _block(tests: list[ScanTest]) -> ResultBlock:
    def column(name: str) -> Any:
        return np.asarray([test.fields[name] for test in tests], np.int64)

    count = len(tests)
    return ResultBlock(
        kind="scan",
        position=np.asarray([test.position for test in tests], np.int64),
        number=column("TEST_NUM"),
        head=column("HEAD_NUM"),
        site=column("SITE_NUM"),
        test_flags=column("TEST_FLG"),
        parameter_flags=np.zeros(count, np.int64),
        definition=np.arange(count, dtype=np.int64),
        definitions=[{key: test.fields[key] for key in ("TEST_TXT", "ALARM_ID")} for test in tests],
        elements=np.ones(count, np.int64),
        values=np.full(count, np.nan),
        states=np.full(count, -1, np.int64),
    )
