"""Slow paths as people read them: a long one by its ends, with the number of its gates."""

CODE, LINK = "PATH:", " > "
"""What the code of a slow path begins with, and what stands between its nets, which no name of a net holds
(``analysis.circuits.defects``)."""
FIRST, LAST = 3, 2
"""Gates that are named at either end of a long path."""
LEAST_LEFT_OUT = 2
"""Gates that are left out in the middle, at least; a path with fewer there is named whole."""


def gates_of(code: str) -> list[str]:
    """Return the nets of the gates along the slow path that ``code`` tells, first to last; none for another code."""
    nets = code.removeprefix(CODE).split(LINK) if code.startswith(CODE) else []
    return nets if len(nets) > 1 and all(nets) else []


def name_gates(nets: list[str]) -> str:
    """Return ``nets`` from first to last, the middle of a long path left out."""
    whole = len(nets) < FIRST + LAST + LEAST_LEFT_OUT
    return LINK.join(nets if whole else [*nets[:FIRST], "…", *nets[-LAST:]])


def shorten_fault(code: str) -> str:
    """Return ``code`` as a narrow column shows it: ``PATH:a > b > c > … > y > z (12 gates)``; as it is if short."""
    nets = gates_of(code)
    short = CODE + name_gates(nets)
    return f"{short} ({len(nets)} gates)" if nets and short != code else code
