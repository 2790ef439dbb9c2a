"""What SEMI P44 (OASIS.MASK) allows of OASIS, as far as it is publicly known.

One layer, one top cell, at most three levels of cells, rectangles and trapezoids only. The standard itself has more
rules; a file that keeps these may still break one of those, and the verdict says which rules were looked at.
"""

from instruments.mask.layout_counts import LayoutCount

MAX_LEVELS = 3
ALLOWED = frozenset({"CELL", "CBLOCK", "PLACEMENT", "RECTANGLE", "TRAPEZOID", "CTRAPEZOID"})
RULES = ("one layer", "one top cell", f"at most {MAX_LEVELS} levels", "only RECTANGLE, TRAPEZOID, CTRAPEZOID")


def check_mask_rules(count: LayoutCount) -> dict[str, object]:
    """Return ``{"keeps_the_rules", "rules", "violations"}`` of a walked OASIS file."""
    violations = []
    layers = sorted({key[:2] for cell in count.cells.values() for key in cell.shapes})
    if len(layers) != 1:
        violations.append(f"{len(layers)} layers")
    tops = count.top_cells()
    if len(tops) != 1:
        violations.append(f"{len(tops)} top cells")
    order = count.bottom_up()
    if order is None:
        violations.append("cells that contain themselves")
    else:
        deepest = 1 + max(count.levels(order).values(), default=0)
        if deepest > MAX_LEVELS:
            violations.append(f"{deepest} levels")
    violations += [f"{number} {name}" for name, number in sorted(count.records.items()) if name not in ALLOWED]
    return {"keeps_the_rules": not violations, "rules": list(RULES), "violations": violations}
