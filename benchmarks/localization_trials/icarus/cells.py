"""Cells of the sky130 high-density library that dies are made of, as behavioural Verilog of this project's own.

Each is written from the documented truth table of the cell, with one transport delay from any input to the output: a
change of an input shows at the output after ``DELAY_FS``, however short a pulse it makes.
"""

from dataclasses import dataclass

PREFIX = "sky130_fd_sc_hd__"
SCAN_CELLS = ("dfxtp",)
"""Flip-flops: in full-scan view the tester drives their ``Q`` and reads their ``D``."""


@dataclass(frozen=True)
class Cell:
    """A cell's input pins, output pin and function, ``function`` as a Verilog expression of its pins."""

    inputs: tuple[str, ...]
    output: str
    function: str


def _many(symbol: str, count: int, *, inverted: bool) -> Cell:
    pins = tuple("ABCD"[:count])
    joined = f" {symbol} ".join(pins)
    return Cell(pins, "Y", f"~({joined})") if inverted else Cell(pins, "X", joined)


CELLS = {
    "inv": Cell(("A",), "Y", "~A"),
    "buf": Cell(("A",), "X", "A"),
    "xor2": Cell(("A", "B"), "X", "A ^ B"),
    "xnor2": Cell(("A", "B"), "Y", "~(A ^ B)"),
    **{f"and{count}": _many("&", count, inverted=False) for count in (2, 3, 4)},
    **{f"nand{count}": _many("&", count, inverted=True) for count in (2, 3, 4)},
    **{f"or{count}": _many("|", count, inverted=False) for count in (2, 3, 4)},
    **{f"nor{count}": _many("|", count, inverted=True) for count in (2, 3, 4)},
}


def module_of(kind: str) -> str:
    """Return the Verilog module of the cell ``kind``, ``nand2`` say; time unit and precision are the file's."""
    cell = CELLS[kind]
    ports = "".join(f", input {pin}" for pin in cell.inputs)
    # The process waits only after it has evaluated, so that no change of time zero is missed.
    return (
        f"module {PREFIX}{kind} #(parameter DELAY_FS = 0) (output reg {cell.output}{ports});\n"
        f"  always begin {cell.output} <= #DELAY_FS {cell.function}; @({' or '.join(cell.inputs)}); end\n"
        "endmodule\n"
    )
