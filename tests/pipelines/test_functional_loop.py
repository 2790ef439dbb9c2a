"""A session whose patterns drive no flip-flop is a functional loop; one that drives some of them is refused."""

import numpy as np
import pytest

from instruments.errors import CorruptField
from instruments.probing.session import check_session
from instruments.records import Gate, Netlist, PatternSet, ProbingSession
from services.pipelines.probing.localization import build_problem

NETLIST = Netlist(
    "n",
    ("run",),
    ("q",),
    (
        Gate("f", "dff", "DFF", "q", ("d",)),
        Gate("g", "dff", "DFF", "p", ("q",)),
        Gate("d", "nor", "NOR", "d", ("p", "run")),
    ),
)


def session(nets: tuple[str, ...]) -> ProbingSession:
    patterns = PatternSet("p", nets, np.zeros((64, len(nets)), np.uint8))
    document = {"stimulus": {"cycle_s": 1e-8}, "waveforms": []}
    return ProbingSession("s", "suspect", document, NETLIST, patterns, None, None, (), {})


def test_patterns_without_flip_flops_let_them_run() -> None:
    looped, scanned = session(("run",)), session(("run", "q", "p"))
    check_session(looped, "s")
    check_session(scanned, "s")
    problem = build_problem(looped)
    assert problem.sequential is not None
    assert problem.patterns.shape == (64, 1)
    assert [problem.circuit.nets[net] for net in problem.sequential.states] == ["q", "p"]
    assert build_problem(scanned).sequential is None


def test_patterns_with_some_flip_flops_are_refused() -> None:
    with pytest.raises(CorruptField, match="the patterns lack the input p"):
        check_session(session(("run", "q")), "s")
