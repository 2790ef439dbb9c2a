"""Cell functions against expressions written by hand, pin by pin, and against the library's own transistors."""

import re
from itertools import product
from pathlib import Path

import pytest

from instruments.records import Gate
from instruments.simulation.cell_library import PREFIX, cell_gates, find_cell
from tests.instruments.simulation.naive_logic import gate_value

# Written from the library's published cell descriptions, one by one, not from any rule.
EXPRESSIONS = {
    "inv": ("Y", "not A"),
    "clkinv": ("Y", "not A"),
    "clkinvlp": ("Y", "not A"),
    "bufinv": ("Y", "not A"),
    "buf": ("X", "A"),
    "clkbuf": ("X", "A"),
    "dlygate4sd3": ("X", "A"),
    "dlymetal6s2s": ("X", "A"),
    "clkdlybuf4s50": ("X", "A"),
    "and2": ("X", "A and B"),
    "and2b": ("X", "(not A_N) and B"),
    "and3b": ("X", "(not A_N) and B and C"),
    "and4b": ("X", "(not A_N) and B and C and D"),
    "and4bb": ("X", "(not A_N) and (not B_N) and C and D"),
    "nand2": ("Y", "not (A and B)"),
    "nand4": ("Y", "not (A and B and C and D)"),
    "nand2b": ("Y", "A_N or not B"),
    "nand3b": ("Y", "not ((not A_N) and B and C)"),
    "nand4b": ("Y", "not ((not A_N) and B and C and D)"),
    "nand4bb": ("Y", "A_N or B_N or not (C and D)"),
    "or3": ("X", "A or B or C"),
    "or2b": ("X", "A or not B_N"),
    "or3b": ("X", "A or B or not C_N"),
    "or4b": ("X", "A or B or C or not D_N"),
    "or4bb": ("X", "A or B or (not C_N) or (not D_N)"),
    "nor3": ("Y", "not (A or B or C)"),
    "nor2b": ("Y", "(not A) and B_N"),
    "nor3b": ("Y", "(not A) and (not B) and C_N"),
    "nor4b": ("Y", "(not A) and (not B) and (not C) and D_N"),
    "nor4bb": ("Y", "(not A) and (not B) and C_N and D_N"),
    "xor2": ("X", "A != B"),
    "xor3": ("X", "(A + B + C) % 2 == 1"),
    "xnor2": ("Y", "A == B"),
    "xnor3": ("X", "(A + B + C) % 2 == 0"),
    "mux2": ("X", "(A1 and S) or (A0 and not S)"),
    "mux2i": ("Y", "not ((A1 and S) or (A0 and not S))"),
    "mux4": (
        "X",
        "(A0 and not S0 and not S1) or (A1 and S0 and not S1) or (A2 and not S0 and S1) or (A3 and S0 and S1)",
    ),
    "maj3": ("X", "(A and B) or (B and C) or (A and C)"),
    "a21o": ("X", "(A1 and A2) or B1"),
    "a21oi": ("Y", "not ((A1 and A2) or B1)"),
    "a21bo": ("X", "(A1 and A2) or not B1_N"),
    "a21boi": ("Y", "not ((A1 and A2) or not B1_N)"),
    "a211o": ("X", "(A1 and A2) or B1 or C1"),
    "a2111oi": ("Y", "not ((A1 and A2) or B1 or C1 or D1)"),
    "a22o": ("X", "(A1 and A2) or (B1 and B2)"),
    "a22oi": ("Y", "not ((A1 and A2) or (B1 and B2))"),
    "a221oi": ("Y", "not ((A1 and A2) or (B1 and B2) or C1)"),
    "a222oi": ("Y", "not ((A1 and A2) or (B1 and B2) or (C1 and C2))"),
    "a2bb2o": ("X", "((not A1_N) and (not A2_N)) or (B1 and B2)"),
    "a2bb2oi": ("Y", "not (((not A1_N) and (not A2_N)) or (B1 and B2))"),
    "a31o": ("X", "(A1 and A2 and A3) or B1"),
    "a311oi": ("Y", "not ((A1 and A2 and A3) or B1 or C1)"),
    "a32o": ("X", "(A1 and A2 and A3) or (B1 and B2)"),
    "a41oi": ("Y", "not ((A1 and A2 and A3 and A4) or B1)"),
    "o21a": ("X", "(A1 or A2) and B1"),
    "o21ai": ("Y", "not ((A1 or A2) and B1)"),
    "o21ba": ("X", "(A1 or A2) and not B1_N"),
    "o21bai": ("Y", "not ((A1 or A2) and not B1_N)"),
    "o211ai": ("Y", "not ((A1 or A2) and B1 and C1)"),
    "o2111a": ("X", "(A1 or A2) and B1 and C1 and D1"),
    "o22ai": ("Y", "not ((A1 or A2) and (B1 or B2))"),
    "o221a": ("X", "(A1 or A2) and (B1 or B2) and C1"),
    "o2bb2a": ("X", "not (A1_N and A2_N) and (B1 or B2)"),
    "o2bb2ai": ("Y", "not (not (A1_N and A2_N) and (B1 or B2))"),
    "o31ai": ("Y", "not ((A1 or A2 or A3) and B1)"),
    "o311a": ("X", "(A1 or A2 or A3) and B1 and C1"),
    "o32ai": ("Y", "not ((A1 or A2 or A3) and (B1 or B2))"),
    "o41a": ("X", "(A1 or A2 or A3 or A4) and B1"),
    "ha COUT": ("COUT", "A and B"),
    "ha SUM": ("SUM", "A != B"),
    "fa COUT": ("COUT", "A + B + CIN >= 2"),
    "fa SUM": ("SUM", "(A + B + CIN) % 2 == 1"),
    "fah COUT": ("COUT", "A + B + CI >= 2"),
    "fahcin COUT": ("COUT", "A + B + (not CIN) >= 2"),
    "fahcin SUM": ("SUM", "(A + B + (not CIN)) % 2 == 1"),
    "fahcon COUT_N": ("COUT_N", "A + B + CI < 2"),
    "fahcon SUM": ("SUM", "(A + B + CI) % 2 == 1"),
    "conb HI": ("HI", "True"),
    "conb LO": ("LO", "False"),
    "lpflow_inputiso0n": ("X", "A and SLEEP_B"),
    "lpflow_inputiso0p": ("X", "A and not SLEEP"),
    "lpflow_inputiso1n": ("X", "A or not SLEEP_B"),
    "lpflow_inputiso1p": ("X", "A or SLEEP"),
}
NEXT_STATES = {
    "dfxtp": "D",
    "dfrtn": "D",
    "edfxbp": "D if DE else Q",
    "sdfstp": "SCD if SCE else D",
    "sedfxtp": "SCD if SCE else (D if DE else Q)",
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_function_of_every_output(name: str) -> None:
    output, expression = EXPRESSIONS[name]
    cell = find_cell(f"{PREFIX}{name.split(maxsplit=1)[0]}_1")
    assert cell is not None
    assert set(cell.inputs) == set(re.findall(r"\b[A-Z][A-Z0-9_]*\b", expression))
    gate = Gate("u", "", cell.functions[output], "y", cell.inputs)
    for bits in product((0, 1), repeat=len(cell.inputs)):
        expected = int(bool(eval(expression, {}, dict(zip(cell.inputs, bits, strict=True)))))
        assert gate_value(gate, list(bits), 1) == expected, bits


@pytest.mark.parametrize("name", NEXT_STATES)
def test_next_state_of_flip_flops(name: str) -> None:
    cell = find_cell(f"{PREFIX}{name}_2")
    assert cell is not None
    pins = {pin: f"n_{pin}" for pin in (*cell.input_pins, *cell.output_pins)}
    gates = cell_gates("u", name, cell, pins)
    (flip_flop,) = [gate for gate in gates if gate.function == "DFF"]
    assert flip_flop.output == "n_Q"
    assert flip_flop.pins == {pin: f"n_{pin}" for pin in cell.controls}
    state_pins = [*cell.inputs, "Q"]
    for bits in product((0, 1), repeat=len(state_pins)):
        values = {f"n_{pin}": bit for pin, bit in zip(state_pins, bits, strict=True)}
        for gate in gates:
            if gate.function != "DFF":
                values[gate.output] = gate_value(gate, [values[net] for net in gate.inputs], 1)
        expected = eval(NEXT_STATES[name], {}, dict(zip(state_pins, bits, strict=True)))
        assert values[flip_flop.inputs[0]] == expected
        if "Q_N" in cell.output_pins:
            assert values["n_Q_N"] == 1 - values["n_Q"]


@pytest.mark.parametrize(
    ("name", "controls"),
    [
        ("dfxtp", ("CLK",)),
        ("dfrtp", ("CLK", "RESET_B")),
        ("dfrtn", ("CLK_N", "RESET_B")),
        ("dfsbp", ("CLK", "SET_B")),
        ("dfbbn", ("CLK_N", "SET_B", "RESET_B")),
        ("sdfbbp", ("CLK", "SET_B", "RESET_B")),
    ],
)
def test_controls_of_flip_flops(name: str, controls: tuple[str, ...]) -> None:
    cell = find_cell(f"{PREFIX}{name}_1")
    assert cell is not None
    assert cell.controls == controls


@pytest.mark.parametrize(
    "name",
    [
        *("dlxtp_1", "dlrbn_1", "dlclkp_1", "sdlclkp_2", "ebufn_1", "einvp_2", "lpflow_isobufsrc_1", "macro_sparecell"),
        *(
            "a21a_1",
            "o21o_1",
            "a20o_1",
            "a51o_1",
            "nand2bb_1",
            "nand5_1",
            "or2_x",
            "or3xor_1",
            "edfrtp_1",
            "xnor4_1",
            "",
        ),
    ],
)
def test_unknown_cells_are_unknown(name: str) -> None:
    assert find_cell(PREFIX + name) is None


def test_other_libraries_are_unknown() -> None:
    assert find_cell("sky130_fd_sc_hs__nand2_1") is None
    assert find_cell("NAND2_X1") is None


def switch_level(spice: str, inputs: dict[str, int]) -> dict[str, int]:
    """Solve a static CMOS subcircuit: spread the rails through conducting transistors until nothing changes."""
    devices = [line.split() for line in spice.splitlines() if line.startswith("X")]
    values: dict[str, int] = {"VPWR": 1, "VGND": 0, **inputs}
    for _ in range(len(devices) + 1):
        for _name, drain, gate, source, _bulk, model, *_ in devices:
            if gate not in values or values[gate] != ("nfet" in model):
                continue
            for near, far in ((drain, source), (source, drain)):
                if near in values and far not in values:
                    values[far] = values[near]
    return values


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["a21oi_1", "inv_1", "nand2_1"])
def test_function_is_that_of_the_transistors(shared_data: Path, name: str) -> None:
    spice = (shared_data / "mask" / f"{PREFIX}{name}.spice").read_text()
    cell = find_cell(PREFIX + name)
    assert cell is not None
    (output,) = cell.functions
    header = next(line for line in spice.splitlines() if line.startswith(".subckt")).split()[2:]
    assert set(header) == {*cell.inputs, output, "VPWR", "VGND", "VPB", "VNB"}
    gate = Gate("u", "", cell.functions[output], output, cell.inputs)
    for bits in product((0, 1), repeat=len(cell.inputs)):
        solved = switch_level(spice, dict(zip(cell.inputs, bits, strict=True)))
        assert solved[output] == gate_value(gate, list(bits), 1), bits
