"""What the cells of the open library ``sky130_fd_sc_hd`` compute, from the grammar of their names.

The library (SkyWater SKY130 process design kit, high density standard cells) names its cells by rule, so the
functions are derived from the name instead of listed. Three rules make most of it:

* ``[n]and<k>[b|bb]`` and ``[n]or<k>[b|bb]``: ``k`` inputs ``A B C D``; one or two of them inverted and called
  ``…_N``: the first ones of an AND, the last ones of an OR.
* ``a<groups>o[i]``: each digit is a group of inputs (``A1 A2``, ``B1``, …) that are ANDed; the groups are ORed; a
  trailing ``i`` inverts. ``o<groups>a[i]`` is the same with AND and OR exchanged. A digit followed by as many ``b``
  as it counts is a group of inverted inputs (``B1_N``). So ``a21oi`` is ``Y = !((A1 & A2) | B1)``.
* ``[s][e]df{x,r,s,b}{t,b}{p,n}``: a flip-flop; ``s`` scan (``SCE ? SCD : …``), ``e`` enable (``DE ? D : Q``);
  no control, reset, set or both; ``t`` one output, ``b`` also ``Q_N``; rising (``CLK``) or falling (``CLK_N``) edge.

The output of an inverting gate is ``Y``, of any other ``X``. Latches, clock gates, tri-state cells and every name
outside the rules are unknown here, and a netlist that uses one is refused.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product

from instruments.records import Gate

PREFIX = "sky130_fd_sc_hd__"
FILLER_PREFIX = "sky130_ef_sc_hd__"
POWER_PINS = frozenset({"VPWR", "VGND", "VPB", "VNB", "KAPWR"})
Function = Callable[..., int]

SIMPLE = re.compile(r"(n?)(and|or)([234])(b{0,2})")
COMPLEX = re.compile(r"([ao])((?:\db*){2,4})([ao])(i?)")
COMPLEX_GROUPS = frozenset({"21", "211", "2111", "22", "221", "222", "31", "311", "32", "41", "21b", "2bb2"})
PARITY = re.compile(r"(x?)(n?)or([23])")
FLIP_FLOP = re.compile(r"(s?)(e?)df([xrsb])([tb])([pn])")
BUFFER = re.compile(
    r"buf|clkbuf|bufbuf|dlygate4sd[123]|dlymetal6s[246]s|clkdlybuf4s(15|18|25|50)|probec?_p|lpflow_clkbufkapwr"
)
INVERTER = re.compile(r"inv|clkinv|clkinvlp|bufinv|lpflow_clkinvkapwr")
PHYSICAL = re.compile(r"decap|fill|tap|tapvgnd2?|tapvpwrvgnd|diode|lpflow_decapkapwr")
LETTERS = "ABCD"


@dataclass(frozen=True)
class Cell:
    """A library cell.

    Attributes:
        base: its name without library prefix and drive strength.
        inputs: pins that its functions take, in the order of their truth tables. For a flip-flop the pins of its next
            state.
        functions: for each output pin ``Gate.function`` over ``inputs``; empty for flip-flops and physical cells.
        next_state: for a flip-flop ``Gate.function`` of its next state, over ``inputs`` and, when
            ``next_state_uses_q``, ``Q`` after them; else ``None``.
        next_state_uses_q: the flip-flop holds its value under some inputs.
        outputs: for a flip-flop its output pins, ``Q`` first.
        controls: clock, set and reset pins of a flip-flop.
        physical_pins: pins of a cell without function (antenna diode, fill, tap, decoupling).
    """

    base: str
    inputs: tuple[str, ...] = ()
    functions: Mapping[str, str] = field(default_factory=dict)
    next_state: str | None = None
    next_state_uses_q: bool = False
    outputs: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    physical_pins: tuple[str, ...] = ()

    @property
    def is_flip_flop(self) -> bool:
        """True for a cell with a clocked state."""
        return self.next_state is not None

    @property
    def is_physical(self) -> bool:
        """True for a cell that computes nothing."""
        return not self.functions and not self.is_flip_flop

    @property
    def input_pins(self) -> tuple[str, ...]:
        """All input pins, controls included."""
        return (*self.inputs, *self.controls, *self.physical_pins)

    @property
    def output_pins(self) -> tuple[str, ...]:
        """All output pins."""
        return (*self.functions, *self.outputs)


def truth_table(function: Function, inputs: int) -> str:
    """Return ``TABLE:<bits>`` of a function of ``inputs`` bits; the first argument is the most significant."""
    return "TABLE:" + "".join(str(int(bool(function(*bits)))) for bits in product((0, 1), repeat=inputs))


@lru_cache(maxsize=1024)
def find_cell(name: str) -> Cell | None:
    """Return what is known of a cell, ``None`` for a name outside the rules.

    Args:
        name: as in the netlist, for example ``sky130_fd_sc_hd__nand2_1``.
    """
    if name.startswith(FILLER_PREFIX):
        return _physical(re.sub(r"_\d+$", "", name[len(FILLER_PREFIX) :]))
    if not name.startswith(PREFIX):
        return None
    base = re.sub(r"_\d+$", "", name[len(PREFIX) :])
    for rule in (_physical, _buffer, _simple, _parity, _complex, _flip_flop):
        cell = rule(base)
        if cell is not None:
            return cell
    return _irregular().get(base)


def _physical(base: str) -> Cell | None:
    if not PHYSICAL.fullmatch(base):
        return None
    return Cell(base, physical_pins=("DIODE",) if base == "diode" else ())


def _buffer(base: str) -> Cell | None:
    if BUFFER.fullmatch(base):
        return Cell(base, ("A",), {"X": "BUF"})
    if INVERTER.fullmatch(base):
        return Cell(base, ("A",), {"Y": "NOT"})
    return None


def _simple(base: str) -> Cell | None:
    match = SIMPLE.fullmatch(base)
    if match is None:
        return None
    inverting, kind, count, inverted = match[1] == "n", match[2], int(match[3]), len(match[4])
    if inverted == 2 and count != 4:
        return None
    low = 0 if kind == "and" else count - inverted
    negated = tuple(low <= index < low + inverted for index in range(count))
    pins = tuple(f"{LETTERS[i]}_N" if negated[i] else LETTERS[i] for i in range(count))
    output = "Y" if inverting else "X"
    if not inverted:
        return Cell(base, pins, {output: match[1].upper() + kind.upper()})

    def function(*bits: int) -> int:
        seen = [bit ^ flip for bit, flip in zip(bits, negated, strict=True)]
        return (all(seen) if kind == "and" else any(seen)) ^ inverting

    return Cell(base, pins, {output: truth_table(function, count)})


def _parity(base: str) -> Cell | None:
    match = PARITY.fullmatch(base)
    if match is None or match[1] != "x":
        return None
    inverting = match[2] == "n"
    # The three-input XNOR is the library's one inverting gate whose output is X.
    output = "Y" if inverting and match[3] == "2" else "X"
    return Cell(base, tuple(LETTERS[: int(match[3])]), {output: "XNOR" if inverting else "XOR"})


def _complex(base: str) -> Cell | None:
    match = COMPLEX.fullmatch(base)
    if match is None or match[1] == match[3] or match[2] not in COMPLEX_GROUPS:
        return None
    inner_and, inverting = match[1] == "a", match[4] == "i"
    pins: list[str] = []
    groups: list[tuple[int, bool]] = []
    for letter, group in zip(LETTERS, re.findall(r"\db*", match[2]), strict=False):
        size, negated = int(group[0]), len(group) > 1
        groups.append((size, negated))
        pins += [f"{letter}{i}" + ("_N" if negated else "") for i in range(1, size + 1)]

    def function(*bits: int) -> int:
        rest = list(bits)
        terms = []
        for size, negated in groups:
            term = [bit ^ negated for bit in rest[:size]]
            del rest[:size]
            terms.append(all(term) if inner_and else any(term))
        return (any(terms) if inner_and else all(terms)) ^ inverting

    return Cell(base, tuple(pins), {"Y" if inverting else "X": truth_table(function, len(pins))})


def _flip_flop(base: str) -> Cell | None:
    match = FLIP_FLOP.fullmatch(base)
    if match is None:
        return None
    scan, enable, control, outputs, edge = match.groups()
    if enable and (control != "x" or edge != "p"):
        return None
    inputs = ("D", *(("DE",) if enable else ()), *(("SCD", "SCE") if scan else ()))
    controls = (
        "CLK" if edge == "p" else "CLK_N",
        *{"x": (), "r": ("RESET_B",), "s": ("SET_B",), "b": ("SET_B", "RESET_B")}[control],
    )

    def next_state(*bits: int) -> int:
        pin = dict(zip((*inputs, "Q"), bits, strict=False))
        data = "D" if not enable or pin["DE"] else "Q"
        return int(pin["SCD" if scan and pin["SCE"] else data])

    plain = not scan and not enable
    arguments = len(inputs) + bool(enable)
    return Cell(
        base,
        inputs,
        next_state="BUF" if plain else truth_table(next_state, arguments),
        next_state_uses_q=bool(enable),
        outputs=("Q", "Q_N") if outputs == "b" else ("Q",),
        controls=controls,
    )


def _majority(a: int, b: int, c: int) -> int:
    return a + b + c >= 2


@lru_cache(maxsize=1)
def _irregular() -> Mapping[str, Cell]:
    """Cells whose names follow no rule: multiplexers, adders, majority, constants, input isolation."""
    cells = (
        Cell("mux2", ("A0", "A1", "S"), {"X": truth_table(lambda a0, a1, s: a1 if s else a0, 3)}),
        Cell("mux2i", ("A0", "A1", "S"), {"Y": truth_table(lambda a0, a1, s: not (a1 if s else a0), 3)}),
        Cell(
            "mux4",
            ("A0", "A1", "A2", "A3", "S0", "S1"),
            {"X": truth_table(lambda a0, a1, a2, a3, s0, s1: (a0, a1, a2, a3)[s0 + 2 * s1], 6)},
        ),
        Cell("maj3", ("A", "B", "C"), {"X": truth_table(_majority, 3)}),
        Cell("ha", ("A", "B"), {"COUT": "AND", "SUM": "XOR"}),
        Cell("fa", ("A", "B", "CIN"), {"COUT": truth_table(_majority, 3), "SUM": "XOR"}),
        Cell("fah", ("A", "B", "CI"), {"COUT": truth_table(_majority, 3), "SUM": "XOR"}),
        Cell(
            "fahcin",
            ("A", "B", "CIN"),
            {"COUT": truth_table(lambda a, b, c: _majority(a, b, 1 - c), 3), "SUM": "XNOR"},
        ),
        Cell(
            "fahcon",
            ("A", "B", "CI"),
            {"COUT_N": truth_table(lambda a, b, c: not _majority(a, b, c), 3), "SUM": "XOR"},
        ),
        Cell("conb", (), {"HI": "CONST1", "LO": "CONST0"}),
        Cell("lpflow_inputiso0n", ("A", "SLEEP_B"), {"X": "AND"}),
        Cell("lpflow_inputiso0p", ("A", "SLEEP"), {"X": truth_table(lambda a, sleep: a and not sleep, 2)}),
        Cell("lpflow_inputiso1n", ("A", "SLEEP_B"), {"X": truth_table(lambda a, awake: a or not awake, 2)}),
        Cell("lpflow_inputiso1p", ("A", "SLEEP"), {"X": "OR"}),
    )
    return {cell.base: cell for cell in cells}


def cell_gates(name: str, kind: str, cell: Cell, pins: Mapping[str, str]) -> Sequence[Gate]:
    """Return the gates that an instance of a library cell stands for: one per output pin, unconnected ones included.

    An unconnected output gets the net ``instance/pin``. A flip-flop with scan or enable pins gets a gate of its own
    for its next state, ``instance/next``, and ``Q_N`` is a ``NOT`` of ``Q``.

    Args:
        name: instance name.
        kind: full cell name.
        cell: what the cell is.
        pins: net of each connected pin.
    """
    nets = {pin: pins.get(pin, f"{name}/{pin}") for pin in cell.output_pins}
    inputs = tuple(pins[pin] for pin in cell.inputs)
    connected = {pin: pins[pin] for pin in cell.inputs}
    if not cell.is_flip_flop:
        many = len(cell.functions) > 1
        return [
            Gate(f"{name}/{pin}" if many else name, kind, function, nets[pin], inputs, {**connected, pin: nets[pin]})
            for pin, function in cell.functions.items()
        ]
    gates: list[Gate] = []
    data = pins["D"]
    if cell.next_state is not None and cell.next_state != "BUF":
        data = f"{name}/next"
        state_inputs = (*inputs, nets["Q"]) if cell.next_state_uses_q else inputs
        gates.append(Gate(data, kind, cell.next_state, data, state_inputs))
    gates.append(Gate(name, kind, "DFF", nets["Q"], (data,), {pin: pins[pin] for pin in cell.controls}))
    if "Q_N" in nets:
        gates.append(Gate(f"{name}/Q_N", kind, "NOT", nets["Q_N"], (nets["Q"],)))
    return gates
