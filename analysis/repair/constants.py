"""The constants of repair models: each with its unit, its spread, and what vouches for it.

A constant without a source is a default that every answer names, never a fact. A laboratory's own figures, measured or
learned from its logs, replace the table's row by row.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

Label = Literal["quoted", "derived", "unverified", "laboratory"]
Kind = Literal["lognormal", "normal", "upper-bound", "exact"]
LABELS: tuple[str, ...] = get_args(Label)
KINDS: tuple[str, ...] = get_args(Kind)


class ConstantsRefused(ValueError):  # noqa: N818
    """A constant that the model needs is not in the table, or one that was given cannot be."""


@dataclass(frozen=True)
class Constant:
    """One number of a model.

    Attributes:
        key: dotted name that ends with the unit, for example ``laser.silicon.ultrashort.threshold_j_cm2``.
        value: in ``unit``.
        spread: standard deviation of its logarithm when ``kind`` is ``lognormal``, of itself in ``unit`` when it is
            ``normal``; 0 otherwise.
        kind: ``upper-bound`` is used in full, as the worst that was seen; ``exact`` is a limit or definition.
        label: ``quoted`` from the source, ``derived`` from quoted figures, ``unverified`` general knowledge, or
            ``laboratory``: the user's own.
        source: who says so.
    """

    key: str
    value: float
    unit: str
    spread: float
    kind: Kind
    label: Label
    source: str

    def __post_init__(self) -> None:
        if self.kind not in KINDS or self.label not in LABELS:
            raise ConstantsRefused(f"{self.key}: {self.kind!r} and {self.label!r} are not among {KINDS} and {LABELS}")
        if not (math.isfinite(self.value) and math.isfinite(self.spread) and self.spread >= 0):
            raise ConstantsRefused(f"{self.key}: {self.value} with the spread {self.spread} is no measured number")
        if self.kind == "lognormal" and self.value <= 0:
            raise ConstantsRefused(f"{self.key}: {self.value} is not above 0, as a lognormal constant must be")
        if self.kind in ("upper-bound", "exact") and self.spread > 0:
            raise ConstantsRefused(f"{self.key}: a constant of the kind {self.kind} has no spread")

    @property
    def log_sigma(self) -> float:
        """Standard deviation of the logarithm; to first order for a normal constant."""
        if self.kind == "normal":
            return self.spread / abs(self.value) if self.value else math.inf
        return self.spread

    @property
    def sigma(self) -> float:
        """Standard deviation in the constant's unit; to first order for a lognormal one."""
        return self.spread if self.kind == "normal" else self.spread * abs(self.value)


class ConstantTable:
    """Constants by their key, which remembers which of them an answer has used.

    Attributes:
        used: the constants that were asked for since :meth:`watched`, in order.
    """

    def __init__(self, rows: Iterable[Constant]) -> None:
        self._rows: dict[str, Constant] = {}
        self.used: dict[str, Constant] = {}
        for row in rows:
            if row.key in self._rows:
                raise ConstantsRefused(f"the constant {row.key} is given twice")
            self._rows[row.key] = row

    def __getitem__(self, key: str) -> Constant:
        """Return the constant named ``key``; raises :class:`ConstantsRefused` when there is none."""
        found = self.find(key)
        if found is None:
            near = sorted(known for known in self._rows if known.rpartition(".")[2] == key.rpartition(".")[2])
            listed = f"; there are {', '.join(near[:6])}" if near else ""
            raise ConstantsRefused(f"there is no constant {key}{listed}. Give it in a file of constants")
        return found

    def find(self, key: str) -> Constant | None:
        """Return the constant named ``key``, ``None`` when there is none."""
        found = self._rows.get(key)
        if found is not None:
            self.used[key] = found
        return found

    def peek(self, key: str) -> float:
        """Return the value of ``key`` without counting it as used; raises :class:`ConstantsRefused`."""
        found = self._rows.get(key)
        if found is None:
            raise ConstantsRefused(f"there is no constant {key}. Give it in a file of constants")
        return found.value

    def names(self) -> tuple[str, ...]:
        """Return all keys, in the table's order."""
        return tuple(self._rows)

    def rows(self) -> tuple[Constant, ...]:
        """Return all constants, in the table's order."""
        return tuple(self._rows.values())

    def watched(self) -> "ConstantTable":
        """Return the same table with nothing used yet."""
        return ConstantTable(self._rows.values())

    def replaced(self, rows: Mapping[str, Constant]) -> "ConstantTable":
        """Return a table in which ``rows``, by key, stand instead of those of the same key, new ones at the end."""
        merged = dict(self._rows) | dict(rows)
        return ConstantTable(replace(row, key=key) for key, row in merged.items())
