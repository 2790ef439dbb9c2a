"""Lifetimes of stressed devices with censoring, truncation and counts, as comma-separated text or Parquet.

There is no public standard; these are the columns we document. ``status`` says what is known of a row's devices:

* ``exact``: they failed at ``time_h``;
* ``right``: they were alive at ``time_h``, and what came after is not known;
* ``left``: they had failed before ``upper_h``;
* ``interval``: they were alive at ``lower_h`` and found failed at ``upper_h``.

Programs for life data write ``F`` or ``failed`` and ``S`` or ``suspended`` for the first two; these words are read so.

``count`` (1 without the column) says how many devices a row stands for; ``entry_h`` and ``exit_h`` are left and right
truncation. Other columns: ``device_id``, ``lot_id``, ``mode``, ``stress``, ``temperature_c``, ``voltage_v``,
``humidity_percent``. Times may be in other units of time, in the name (``time_s``) or in brackets (``time [min]``); a
time without a unit is refused. A field that the status does not know must be empty. ``# rows: 12`` and ``# devices:
77`` are checked; the lines in the bytes, or the row groups of Parquet, are the second count.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instruments.adapter import Confidence, Sniff, Source
from instruments.commented_table import delimiter_of
from instruments.description import Reach
from instruments.electrical.stress_columns import StressColumns, check_conditions, columns_in_head, read_columns
from instruments.electrical.stress_vocabulary import LIFETIME
from instruments.errors import CountMismatch
from instruments.headings import Headings
from instruments.records import Record
from instruments.text_lines import head_text, split_lines

HEADINGS = Headings(
    LIFETIME,
    {
        "device": ("device_id",),
        "lot": ("lot_id",),
        "number": ("count",),
        "quantity": ("count",),
        "failure_mode": ("mode",),
        "censoring": ("status",),
        "f_s": ("status",),
    },
)
_WORDS = {
    **dict.fromkeys(("f", "fail", "failed", "failure"), "exact"),
    **dict.fromkeys(("s", "suspended", "suspension", "right-censored", "right censored"), "right"),
    **dict.fromkeys(("left-censored", "left censored"), "left"),
    **dict.fromkeys(("interval-censored", "interval censored"), "interval"),
}
"""What other programs call a status."""
_TIMES = ("time_h", "lower_h", "upper_h")
_TEXT = np.dtypes.StringDType()
_KNOWN = {"exact": {"time_h"}, "right": {"time_h"}, "left": {"upper_h"}, "interval": {"lower_h", "upper_h"}}


class LifetimesAdapter:
    """Reads lifetimes into a ``lifetime`` table."""

    name = "lifetimes"
    version = "4"
    formats = ("lifetimes",)
    reach = Reach.WALK

    def sniff(self, source: Source) -> Sniff:
        """Look for a status and a time in the header of ``source``."""
        found = columns_in_head(source, HEADINGS, frozenset({"status"}))
        if isinstance(found, Sniff):
            return found
        if "status" in found and found & set(_TIMES):
            # Logs of other tools have a status and a time too, but other words for it.
            if _first_cells(head_text(source.head)) & _KNOWN.keys():
                return Sniff(Confidence.CERTAIN, "it has times with their status of censoring")
            return Sniff(
                Confidence.POSSIBLE, "the header has a status and a time, the first row no status of censoring"
            )
        return Sniff(Confidence.NO, "no status and time in the header")

    def read(self, source: Source) -> tuple[str, Iterable[Record]]:
        """Return the lifetimes of ``source``.

        Raises:
            CorruptField, CountMismatch, NotThisFormat, ReadingLimit, UnsupportedVersion: and why.
        """
        columns = read_columns(source, HEADINGS)
        columns.require(("status",))
        written = np.strings.lower(np.strings.strip(columns.texts["status"])).tolist()
        status = columns.texts["status"] = np.asarray([_WORDS.get(text, text) for text in written], _TEXT)
        read = sorted({f"{text} as {_WORDS[text]}" for text in written if text in _WORDS})
        columns.warnings += [f"words of the status were read: {', '.join(read)}"] if read else []
        known = np.asarray([text in _KNOWN for text in status.tolist()], np.bool_)
        columns.refuse(~known, "the status is none of exact, right, left and interval", "status")
        _check_times(columns, status)
        _check_truncation(columns)
        check_conditions(columns)
        counts = columns.whole("count") if "count" in columns else np.ones(columns.rows, np.int64)
        _check_devices(columns, counts)
        return "lifetimes", (columns.to_table(HEADINGS, {"count": counts}),)


def _first_cells(text: str) -> set[str]:
    """Return the cells, in lower case, of the first row below the header."""
    lines = [line for line in split_lines(text) if line.strip() and not line.lstrip().startswith("#")]
    return {cell.strip().strip('"').lower() for cell in lines[1].split(delimiter_of(lines[1]))} if lines[1:] else set()


def _check_times(columns: StressColumns, status: NDArray[Any]) -> None:
    """Each row has the times that its status knows, and no others, in order."""
    nothing = np.full(columns.rows, np.nan)
    for name in _TIMES:
        values = columns.numbers.get(name, nothing)
        columns.refuse(values < 0, f"{name} is negative", name)
        for kind, names in _KNOWN.items():
            rows = status == kind
            if name in names:
                columns.refuse(rows & np.isnan(values), f"a row of status {kind} needs {name}", name)
            else:
                columns.refuse(rows & ~np.isnan(values), f"a row of status {kind} has no {name}", name)
    lower, upper = columns.numbers.get("lower_h", nothing), columns.numbers.get("upper_h", nothing)
    columns.refuse(lower >= upper, "lower_h is not below upper_h", "lower_h")
    columns.refuse(upper <= 0, "upper_h is not above 0", "upper_h")


def _check_truncation(columns: StressColumns) -> None:
    nothing = np.full(columns.rows, np.nan)
    given = {name: columns.numbers.get(name, nothing) for name in (*_TIMES, "entry_h", "exit_h")}
    columns.refuse(given["entry_h"] < 0, "entry_h is negative", "entry_h")
    columns.refuse(given["entry_h"] >= given["exit_h"], "entry_h is not below exit_h", "entry_h")
    for name in _TIMES:
        columns.refuse(given[name] < given["entry_h"], f"{name} is before entry_h", name)
        columns.refuse(given[name] > given["exit_h"], f"{name} is after exit_h", name)


def _check_devices(columns: StressColumns, counts: NDArray[np.int64]) -> None:
    declared = columns.metadata.get("comments", {}).get("devices")
    total = sum(counts.tolist())
    if declared is not None and declared != str(total):
        message = "the table does not hold as many devices as it says"
        raise CountMismatch(message, file=columns.file, expected=declared[:20], found=total)
    if "device_id" in columns:
        named = columns.texts["device_id"] != ""
        columns.refuse(named & (counts != 1), "a row of one device counts several", "count")
