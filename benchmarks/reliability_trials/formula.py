"""A printed formula of life under stress, such as ``eta=1/(K V^n)``, as a linear law that can be fitted."""

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.reliability_trials.case import Unsolved

Floats = NDArray[np.float64]
_FUNCTIONS = {"exp": np.exp, "log": np.log, "ln": np.log, "sqrt": np.sqrt}
_TOKEN = re.compile(r"\d+\.?\d*(?:[eE][+-]?\d+)?|[A-Za-z_]\w*|\*\*|[-+*/^()]")
_LIVES = ("eta", "life", "alpha", "l", "mu", "median", "t50", "scale", "ttf")


@dataclass(frozen=True)
class Formula:
    """Life as an expression of parameters and stresses."""

    text: str
    tree: ast.Expression
    names: tuple[str, ...]

    def log_life(self, values: Mapping[str, Floats | float]) -> Floats:
        """Return the logarithm of life.

        Raises:
            Unsolved: a name has no value.
        """
        missing = [name for name in self.names if name not in values]
        if missing:
            raise Unsolved(f"{' and '.join(missing)} of {self.text} is neither a parameter nor a column")
        code = compile(self.tree, "formula", "eval")
        with np.errstate(all="ignore"):
            return np.asarray(np.log(eval(code, {"__builtins__": {}}, {**_FUNCTIONS, **values})))


def find_formula(words: str) -> Formula | None:
    """Return the first formula of life in ``words`` that reads as one."""
    for found in re.finditer(r"\b([A-Za-z]\w*)(?:\([^)]*\))?\s*=\s*([^|;,]+)", words):
        if found.group(1).lower() not in _LIVES:
            continue
        tokens = _TOKEN.findall(found.group(2))
        for end in range(len(tokens), 2, -1):
            made = _parse(tokens[:end])
            if made is not None:
                return made
    return None


def _parse(tokens: Sequence[str]) -> Formula | None:
    pieces: list[str] = []
    for token in tokens:
        after_value = bool(pieces) and (pieces[-1] == ")" or re.match(r"[\w.]+$", pieces[-1]) is not None)
        called = bool(pieces) and pieces[-1] in _FUNCTIONS
        if after_value and not called and re.match(r"[\w(]", token):
            pieces.append("*")
        pieces.append("**" if token == "^" else token)
    try:
        tree = ast.parse("".join(pieces), mode="eval")
    except SyntaxError:
        return None
    allowed = (
        ast.Expression,
        ast.BinOp,
        ast.UnaryOp,
        ast.Name,
        ast.Constant,
        ast.Call,
        ast.operator,
        ast.unaryop,
        ast.Load,
    )
    if not all(isinstance(node, allowed) for node in ast.walk(tree)):
        return None
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    if not all(isinstance(call, ast.Name) and call.id in _FUNCTIONS for call in calls):
        return None
    names = sorted({node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - set(_FUNCTIONS))
    return Formula("".join(pieces), tree, tuple(names)) if names else None


@dataclass(frozen=True)
class LinearForm:
    """Log life as ``fixed + columns @ coefficients``.

    Attributes:
        fixed: float64 of shape ``(rows,)``.
        columns: float64 of shape ``(rows, parameters)``.
        parameters: names, in order of the columns.
        logarithmic: whether the coefficient is the logarithm of the parameter.
    """

    fixed: Floats
    columns: Floats
    parameters: tuple[str, ...]
    logarithmic: tuple[bool, ...]

    def varies(self, place: int) -> bool:
        """Whether the column at ``place`` differs between rows by more than rounding."""
        column = self.columns[:, place]
        return bool(np.ptp(column) > 1e-9 * np.abs(column).max())


def linearize(formula: Formula, parameters: Sequence[str], stresses: Mapping[str, Floats]) -> LinearForm:
    """Return the linear form of ``formula`` at the ``stresses``, found by trying each parameter and its logarithm."""
    base = dict.fromkeys(parameters, 1.0)
    fixed = formula.log_life({**base, **stresses}) + np.zeros(next(iter(stresses.values())).size)
    columns, logarithmic = [], []
    for name in parameters:
        for in_logs in (False, True):
            steps = [_moved(formula, base, stresses, name, step, in_logs) - fixed for step in (1.0, 2.0)]
            if all(np.isfinite(step).all() for step in steps) and np.allclose(steps[1], 2 * steps[0], rtol=1e-9):
                columns.append(steps[0])
                logarithmic.append(in_logs)
                break
        else:
            raise Unsolved(f"log life is not linear in {name} of {formula.text}")
    plain = [i for i, in_logs in enumerate(logarithmic) if not in_logs]
    # The base had every parameter at 1: a plain one contributes its column there, a logarithm nothing.
    for i in plain:
        fixed = fixed - columns[i]
    return LinearForm(fixed, np.stack(columns, axis=1), tuple(parameters), tuple(logarithmic))


def _moved(
    formula: Formula, base: Mapping[str, float], stresses: Mapping[str, Floats], name: str, step: float, in_logs: bool
) -> Floats:
    value = base[name] * float(np.exp(step)) if in_logs else base[name] + step
    return formula.log_life({**base, name: value, **stresses})
