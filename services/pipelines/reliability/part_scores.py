"""Scores of every part, outlier or not: how far each screen found it from the others, as columns and as one file."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from instruments.documents import encode_document
from instruments.records import Table
from services.pipelines.reliability.tested_parts import Floats, Integers, TestedParts

KIND = "part_score"
"""Of the table's rows: one for each part."""

MOST_PARTS = 500_000
"""In one file of scores, about 30 MB."""

FARTHEST = 1000.0
"""Robust sigmas and ratios beyond are cut here: a test without spread knows no larger distance."""

COLUMNS = {
    "average_sigmas": "largest distance from the middle of its group over the tests, in robust sigmas",
    "average_rms_sigmas": "root mean square of these distances over the tests",
    "residual_sigmas": "the largest such distance of what the good neighbours do not explain",
    "multivariate_ratio": "robust distance over all tests of the readings, over the limit",
    "multivariate_residual_ratio": "robust distance over all tests of the residuals, over the limit",
    "failed_around": "weighted failing neighbours of a full set",
    "stack_failed_part": "part of the lot's other wafers that fail at its place",
}
"""What each score is; NaN where the screen was not asked for, was refused, or did not judge the part."""


@dataclass
class PartScores:
    """Scores of ``count`` parts while screens find them; of no parts: they are not kept."""

    count: int = 0
    columns: dict[str, Floats] = field(default_factory=dict)
    squares: Floats = field(default_factory=lambda: np.empty(0))
    tests: Floats = field(default_factory=lambda: np.empty(0))

    def note_largest(self, name: str, members: Integers, values: Floats) -> None:
        """Keep of each of ``members`` the larger of what was noted and the size of ``values``, NaN for none."""
        if not self.count:
            return
        found = self._column(name)
        found[members] = np.fmax(found[members], np.minimum(np.abs(values), FARTHEST))

    def note_average(self, members: Integers, sigmas: Floats) -> None:
        """Note the distances of one test by dynamic limits."""
        if not self.count:
            return
        self.note_largest("average_sigmas", members, sigmas)
        if not self.squares.size:
            self.squares, self.tests = np.zeros(self.count), np.zeros(self.count)
        known = ~np.isnan(sigmas)
        self.squares[members[known]] += np.minimum(np.abs(sigmas[known]), FARTHEST) ** 2
        self.tests[members[known]] += 1

    def _column(self, name: str) -> Floats:
        return self.columns.setdefault(name, np.full(self.count, np.nan))

    def finished(self) -> dict[str, Floats]:
        """Return the columns that some screen has filled, in the order of :data:`COLUMNS`."""
        made = dict(self.columns)
        if self.squares.size:
            with np.errstate(invalid="ignore", divide="ignore"):
                made["average_rms_sigmas"] = np.where(self.tests > 0, np.sqrt(self.squares / self.tests), np.nan)
        return {name: made[name] for name in COLUMNS if name in made}


def count_from(parts: TestedParts) -> str:
    """Return from where places are counted: ``log``, ``map`` (its upper left corner) or ``none`` (devices)."""
    kinds = {source.table.kind for source in parts.sources}
    return "map" if "wafer_map" in kinds else "none" if "readout" in kinds else "log"


def make_score_table(parts: TestedParts, scores: PartScores) -> Table:
    """Return lot, wafer, name, place and verdict of each part with its scores; NaN is not known.

    A lot that no file names is empty here: its parts cannot be told from those of another.
    """
    files = {source.file for source in parts.sources}
    columns: dict[str, Any] = {
        "lot_id": _texts("" if lot in files else lot for lot in parts.lot),
        "wafer_id": _texts(parts.wafer),
        "part_id": _texts(parts.part_id),
        "x": parts.column,
        "y": parts.row,
        "failed": parts.failed,
        **scores.finished(),
    }
    return Table("part scores", columns, dict.fromkeys(columns, ""), KIND)


def _texts(values: Any) -> Any:
    return np.asarray(list(values), np.dtypes.StringDType())


def encode_scores(table: Table) -> bytes:
    """Return ``table`` as the Parquet file in which stored scores lie."""
    return encode_document(table)


def describe_scores(parts: TestedParts, scores: PartScores, tests: Sequence[str]) -> dict[str, Any]:
    """Return what the answer says of its scores: columns with their meaning, tests, and whence places count."""
    return {
        "parts": parts.count,
        "columns": {name: COLUMNS[name] for name in scores.finished()},
        "tests": list(tests),
        "places_from": count_from(parts),
        "cut_at": FARTHEST,
    }
