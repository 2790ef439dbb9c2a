"""Readouts of devices under stress, one parameter of one device a row, as comma-separated text or Parquet.

There is no public standard; these are the columns we document: ``device_id``, ``time_h`` (time under stress before the
measurement), ``parameter``, ``value`` and ``unit`` (``1`` for a pure number); and, where they are known, ``low_limit``,
``high_limit``, ``result`` (pass or fail), ``lot_id``, ``stress``, ``temperature_c``, ``voltage_v``,
``humidity_percent``. The time may be in another unit of time, in the name (``time_s``) or in brackets; a time without
a unit is refused. A parameter has one unit throughout. ``# rows: 12`` and ``# devices: 77`` are checked; the lines in
the bytes, or the row groups of Parquet, are the second count.
"""

from collections.abc import Iterable

import numpy as np

from instruments.adapter import Confidence, Sniff, Source
from instruments.description import Reach
from instruments.electrical.stress_columns import StressColumns, check_conditions, columns_in_head, read_columns
from instruments.electrical.stress_vocabulary import READOUT
from instruments.errors import CountMismatch
from instruments.headings import Headings
from instruments.records import Record

HEADINGS = Headings(
    READOUT,
    {
        "device": ("device_id",),
        "lot": ("lot_id",),
        "units": ("unit",),
        "lower_limit": ("low_limit",),
        "upper_limit": ("high_limit",),
    },
)
_REQUIRED = ("device_id", "time_h", "parameter", "value", "unit")


class ReadoutsAdapter:
    """Reads readouts of stressed devices into a ``readout`` table."""

    name = "readouts"
    version = "3"
    formats = ("readouts",)
    reach = Reach.WALK

    def sniff(self, source: Source) -> Sniff:
        """Look for a device, a parameter and a value in the header of ``source``."""
        found = columns_in_head(source, HEADINGS, frozenset({"parameter", "value"}))
        if isinstance(found, Sniff):
            return found
        if found >= {"device_id", "time_h", "parameter", "value"}:
            return Sniff(Confidence.CERTAIN, "the header has a device, a time, a parameter and a value")
        return Sniff(Confidence.NO, "no device, time, parameter and value in the header")

    def read(self, source: Source) -> tuple[str, Iterable[Record]]:
        """Return the readouts of ``source``.

        Raises:
            CorruptField, CountMismatch, NotThisFormat, ReadingLimit, UnsupportedVersion: and why.
        """
        columns = read_columns(source, HEADINGS)
        columns.require(_REQUIRED)
        columns.refuse(columns.numbers["time_h"] < 0, "time_h is negative", "time_h")
        nothing = np.full(columns.rows, np.nan)
        low, high = (columns.numbers.get(name, nothing) for name in ("low_limit", "high_limit"))
        columns.refuse(low > high, "low_limit is above high_limit", "low_limit")
        check_conditions(columns)
        _check_results(columns)
        _check_parameters(columns)
        return "readouts", (columns.to_table(HEADINGS),)


def _check_results(columns: StressColumns) -> None:
    if "result" not in columns:
        return
    result = columns.texts["result"] = np.strings.lower(np.strings.strip(columns.texts["result"]))
    wrong = np.asarray([text not in ("", "pass", "fail") for text in result.tolist()], np.bool_)
    columns.refuse(wrong, "the result is neither pass nor fail", "result")
    value = columns.numbers["value"]
    nothing = np.full(columns.rows, np.nan)
    outside = (value < columns.numbers.get("low_limit", nothing)) | (value > columns.numbers.get("high_limit", nothing))
    passed = int(np.count_nonzero(outside & (result == "pass")))
    if passed:
        columns.warnings.append(f"{passed} results pass although the value is outside its limits")


def _check_parameters(columns: StressColumns) -> None:
    """A parameter has one unit; a device is read once at a time; devices are as many as the file says."""
    units: dict[str, str] = {}
    seen: set[tuple[str, str, float]] = set()
    repeated = 0
    texts = [columns.texts[name].tolist() for name in ("device_id", "parameter", "unit")]
    for row, (device, parameter, unit, time_h) in enumerate(
        zip(*texts, columns.numbers["time_h"].tolist(), strict=True)
    ):
        if units.setdefault(parameter, unit) != unit:
            raise columns.place(
                f"the parameter {parameter[:40]} has two units, {units[parameter][:20]} before", row, unit
            )
        repeated += (device, parameter, time_h) in seen
        seen.add((device, parameter, time_h))
    if repeated:
        columns.warnings.append(f"{repeated} readouts repeat a parameter of a device at the same time")
    declared = columns.metadata.get("comments", {}).get("devices")
    found = len(set(texts[0]))
    if declared is not None and declared != str(found):
        message = "the table does not hold as many devices as it says"
        raise CountMismatch(message, file=columns.file, expected=declared[:20], found=found)
