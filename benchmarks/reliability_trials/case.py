"""A published case as the file gives it, and what its words and columns say."""

import csv
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.reliability.acceleration import Constants
from analysis.reliability.life_data import LifeData, Truncation, collapse

Floats = NDArray[np.float64]
_TIMES = {"lo", "hi", "n", "entry", "exit", "left", "trunc", "tl", "tr", "trunc_lo", "trunc_hi"}
_CAUSES = ("mode", "cause", "failure_mode")


class Unsolved(ValueError):  # noqa: N818
    """Nothing here knows how to compute what a case asks for; the message says what is missing."""


@dataclass(frozen=True)
class Metric:
    """A published number: what was printed, what it was recomputed to, and how far from print it may be."""

    name: str
    published: Any
    recomputed: Any
    tolerance: str | float


CONVENTIONS = tuple(
    Constants(boltzmann, zero)
    for zero in (273.15, 273.16)
    for boltzmann in (8.617333262e-5, 8.617e-5, 8.6173e-5, 8.617385e-5, 8.617164e-5, 8.62e-5)
)
"""Boltzmann constant and zero of Celsius as publications have them; the first is tried first."""


@dataclass(frozen=True)
class Case:
    """One case of the file.

    Attributes:
        document: as in the file.
        folder: where its data lie.
        assumed: conventions where the case names none.
    """

    document: Mapping[str, Any]
    folder: Path
    assumed: Constants = CONVENTIONS[0]

    @property
    def name(self) -> str:
        """Its identifier; only ever printed."""
        return str(self.document["id"])

    @property
    def family(self) -> str:
        """The kind of question."""
        return str(self.document.get("family", ""))

    @property
    def extra(self) -> Mapping[str, Any]:
        """Numbers beside the data."""
        found = self.document.get("extra")
        return found if isinstance(found, Mapping) else {}

    @property
    def words(self) -> str:
        """Model, title and notes in one text."""
        return " | ".join(str(self.document.get(key) or "") for key in ("model", "title", "notes"))

    @property
    def model(self) -> str:
        """The model in words, in lower case."""
        return str(self.document.get("model") or "").lower()

    @property
    def metrics(self) -> list[Metric]:
        """What is asked for."""
        return [
            Metric(name, each["published"], each.get("recomputed"), each["tol"])
            for name, each in self.document["metrics"].items()
        ]

    @cached_property
    def columns(self) -> dict[str, list[str]]:
        """The table of data by column, empty without one."""
        if not self.document.get("data"):
            return {}
        with (self.folder / str(self.document["data"])).open(newline="") as file:
            rows = list(csv.DictReader(file))
        return {name: [row[name] for row in rows] for name in rows[0]}

    def numbers(self, name: str) -> Floats:
        """Return a column as numbers."""
        return np.asarray([float(cell) if cell != "" else np.nan for cell in self.columns[name]])

    @cached_property
    def stresses(self) -> dict[str, Floats]:
        """Columns of numbers that are no times, ``x`` among them."""
        others = [name for name in self.columns if name.lower() not in _TIMES and name.lower() not in _CAUSES]
        found = {}
        for name in others:
            try:
                found[name] = self.numbers(name)
            except ValueError:
                continue
        return found

    def life_data(self, stress: Floats | None = None, rows: NDArray[np.bool_] | None = None) -> LifeData:
        """Return the lifetimes, of some ``rows`` only, under ``stress``, ``(rows, stresses)``."""
        if not self.columns:
            raise Unsolved("the case has no data")
        low, high = self.numbers("lo"), self.numbers("hi")
        chosen = np.ones(low.size, np.bool_) if rows is None else rows
        counts = self.numbers("n") if "n" in self.columns else np.ones(low.size)
        limits = []
        for names, missing in (
            (("entry", "left", "tl", "trunc_lo", "trunc"), 0.0),
            (("exit", "tr", "trunc_hi"), np.inf),
        ):
            found = [self.numbers(name) for name in self.columns if name.lower() in names]
            limits.append(np.nan_to_num(found[0], nan=missing, posinf=np.inf) if found else np.full(low.size, missing))
        causes = next((self.columns[name] for name in self.columns if name.lower() in _CAUSES), None)
        named = None if causes is None else [cause for cause, keep in zip(causes, chosen, strict=True) if keep]
        return collapse(
            np.nan_to_num(low, nan=0.0)[chosen],
            np.nan_to_num(high, nan=np.inf, posinf=np.inf)[chosen],
            counts[chosen],
            Truncation(limits[0][chosen], limits[1][chosen]),
            None if stress is None else stress[chosen],
            named,
        )

    @cached_property
    def constants(self) -> Constants:
        """Conventions that the words name, CODATA otherwise."""
        boltzmann = re.search(r"\bk\s*=\s*(8\.6\d*e-0?5)", self.words)
        zero = re.search(r"273\.\d+", self._first_convention())
        plain = self.assumed
        return Constants(
            float(boltzmann.group(1)) if boltzmann else plain.boltzmann_ev_per_k,
            float(zero.group(0)) if zero else plain.zero_celsius_k,
        )

    @property
    def names_conventions(self) -> bool:
        """Whether the words name a Boltzmann constant or a zero of Celsius."""
        return self.constants != self.assumed or bool(self._first_convention())

    def _first_convention(self) -> str:
        found = re.search(r"k\s*=\s*8\.6\d*e-0?5\s*/\s*(273\.\d+)|C\s*\+\s*(273\.\d+)", self.words)
        return found.group(0).split("/")[-1].split("+")[-1] if found else ""

    def given(self, *names: str) -> float | None:
        """Return the number beside the data called by one of ``names``, or as in ``Ea 0.7`` or ``N=164``."""
        lowered = {str(key).lower(): value for key, value in self.extra.items()}
        for name in names:
            value = lowered.get(name.lower())
            if isinstance(value, int | float) and not isinstance(value, bool):
                return float(value)
        for name in names:
            found = re.search(
                rf"(?<![A-Za-z0-9_]){re.escape(name)}\s*[= ]\s*(-?\d*\.?\d+(?:e[+-]?\d+)?)(?!\d*-[A-Za-z])", self.words
            )
            if found:
                return float(found.group(1))
        return None

    def need(self, *names: str) -> float:
        """Return what :meth:`given` finds, or refuse."""
        found = self.given(*names)
        if found is None:
            raise Unsolved(f"the case does not say {names[0]}")
        return found


def read_cases(path: Path) -> list[Case]:
    """Return the cases of the file at ``path``; their data lie beside it."""
    return [Case(document, path.parent) for document in json.loads(path.read_text())]


def deviation(value: Any, reference: Any) -> float:
    """Return how far ``value`` is from ``reference`` relatively, the worst of a list; infinite where shapes differ."""
    mine, other = np.atleast_1d(np.asarray(value, float)), np.atleast_1d(np.asarray(reference, float))
    if mine.shape != other.shape or not np.isfinite(mine).all():
        return float("inf")
    return float(np.max(np.abs(mine - other) / np.maximum(np.abs(other), 1e-300)))


def within(value: Any, metric: Metric) -> bool:
    """Return whether ``value`` is as near to print as the case's tolerance says: absolute, or ``rel 0.01``."""
    words = str(metric.tolerance).split()
    bound = float(words[-1])
    if words[0] == "rel":
        return deviation(value, metric.published) <= bound
    mine, other = (np.atleast_1d(np.asarray(each, float)) for each in (value, metric.published))
    return mine.shape == other.shape and bool((np.abs(mine - other) <= bound).all())
