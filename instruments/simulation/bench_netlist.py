"""Netlists in the ISCAS ``.bench`` language: ``INPUT(a)``, ``OUTPUT(y)``, ``y = NAND(a, b)``, ``q = DFF(d)``.

The language of the ISCAS'85 and ISCAS'89 benchmark circuits (Brglez, Bryan and Kozminski, ISCAS 1989): one statement
a line, ``#`` starts a comment, any number of inputs for the symmetric gates. ``net = vdd`` and ``net = gnd`` are
constants, as logic synthesis tools write them.
"""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from instruments.adapter import Confidence, Sniff, Source
from instruments.description import Reach
from instruments.errors import CorruptField, CountMismatch, UnsupportedVersion
from instruments.records import Gate, Netlist, Record
from instruments.simulation.netlist_checks import PlacedGate, check_netlist
from instruments.text_lines import split_lines

NAME = r"[^\s(),=#]+"
PORT = re.compile(rf"(INPUT|OUTPUT)\s*\(\s*({NAME})\s*\)", re.IGNORECASE)
GATE = re.compile(rf"({NAME})\s*=\s*([A-Za-z_]\w*)\s*\(\s*([^()=]*?)\s*\)")
CONSTANT = re.compile(rf"({NAME})\s*=\s*(vdd|gnd)", re.IGNORECASE)
FUNCTIONS = {
    "AND": "AND",
    "NAND": "NAND",
    "OR": "OR",
    "NOR": "NOR",
    "XOR": "XOR",
    "XNOR": "XNOR",
    "NOT": "NOT",
    "BUF": "BUF",
    "BUFF": "BUF",
    "DFF": "DFF",
}
CONSTANTS = {"VDD": "CONST1", "GND": "CONST0"}
ONE_INPUT = frozenset({"NOT", "BUF", "DFF"})


class BenchNetlistAdapter:
    """Reads a ``.bench`` file into one ``Netlist``; a gate's instance name is its output net."""

    name = "bench_netlist"
    version = "1"
    formats = ("bench",)
    reach = Reach.WALK

    def sniff(self, source: Source) -> Sniff:
        """Match the statements in the head against the language."""
        if source.is_bundle:
            return Sniff(Confidence.NO, "a bundle is not a .bench file")
        lines = source.head.decode("utf-8", "replace").lstrip("\ufeff").splitlines()
        if source.size_bytes > len(source.head):
            lines = lines[:-1]
        statements = [text for text in (line.split("#")[0].strip() for line in lines) if text]
        matching = sum(1 for text in statements if _is_statement(text))
        ports = any(PORT.fullmatch(text) for text in statements)
        if ports and matching == len(statements):
            return Sniff(Confidence.CERTAIN, "every statement is one of the .bench language")
        if ports and 2 * matching > len(statements):
            return Sniff(Confidence.LIKELY, f"{matching} of {len(statements)} statements are of the .bench language")
        if source.name.lower().endswith(".bench"):
            return Sniff(Confidence.POSSIBLE, "only the name says that it is a .bench file")
        return Sniff(Confidence.NO, "no .bench statements")

    def read(self, source: Source) -> tuple[str, Iterable[Record]]:
        """Return ``"bench"`` and the netlist.

        Raises:
            CorruptField: a statement that is none, a wrong number of inputs, a port declared twice, a net with two
                drivers or none, a combinational loop.
            UnsupportedVersion: a function that is not of the language.
            CountMismatch: gates read and ``=`` signs in the text differ.
        """
        return "bench", (_parse(source),)


def _is_statement(text: str) -> bool:
    return any(pattern.fullmatch(text) for pattern in (PORT, GATE, CONSTANT))


def _parse(source: Source) -> Netlist:
    file = source.name
    try:
        text = source.path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorruptField("the text is not UTF-8", file=file, offset=error.start) from error
    ports: dict[str, dict[str, int]] = {"INPUT": {}, "OUTPUT": {}}
    gates: list[PlacedGate] = []
    for line, raw in enumerate(split_lines(text), 1):
        statement = raw.split("#")[0].strip()
        if not statement:
            continue
        port = PORT.fullmatch(statement)
        if port is None:
            gates.append(PlacedGate(_gate(statement, line, file), line))
            continue
        kind, name = port[1].upper(), port[2]
        if name in ports[kind]:
            message = f"{kind.lower()} {name} is declared twice, first on line {ports[kind][name]}"
            raise CorruptField(message, file=file, offset=line, offset_unit="line")
        ports[kind][name] = line
    _check_counts(text, len(gates), file)
    if not gates and not ports["OUTPUT"]:
        raise CorruptField("the file holds no circuit", file=file)
    warnings = check_netlist(ports["INPUT"], ports["OUTPUT"], gates, file)
    return Netlist(
        name=PurePosixPath(source.name).stem,
        inputs=tuple(ports["INPUT"]),
        outputs=tuple(ports["OUTPUT"]),
        gates=tuple(placed.gate for placed in gates),
        vendor_metadata={"comments": _comments(text)},
        warnings=(*_declared_warnings(text, ports, gates), *warnings),
    )


def _gate(statement: str, line: int, file: str) -> Gate:
    constant = CONSTANT.fullmatch(statement)
    if constant is not None:
        return Gate(constant[1], constant[2], CONSTANTS[constant[2].upper()], constant[1], ())
    match = GATE.fullmatch(statement)
    if match is None:
        message = "the statement is neither a port nor a gate"
        raise CorruptField(message, file=file, offset=line, found=statement[:60], offset_unit="line")
    output, cell, arguments = match.groups()
    function = FUNCTIONS.get(cell.upper())
    if function is None:
        message = f"function {cell} of gate {output} is not of the .bench language"
        raise UnsupportedVersion(message, file=file, offset=line, offset_unit="line")
    inputs = tuple(argument.strip() for argument in arguments.split(",")) if arguments else ()
    for name in inputs:
        if not re.fullmatch(NAME, name):
            message = f"an input of gate {output} is not a net name"
            raise CorruptField(message, file=file, offset=line, found=name, offset_unit="line")
    single = function in ONE_INPUT
    if (len(inputs) != 1) if single else (len(inputs) < 2):
        message = f"gate {output} ({cell}) has the wrong number of inputs"
        expected = "1" if single else "2 or more"
        raise CorruptField(message, file=file, offset=line, expected=expected, found=len(inputs), offset_unit="line")
    return Gate(output, cell, function, output, inputs)


def _check_counts(text: str, gates: int, file: str) -> None:
    """Every gate has one ``=``; count them with the comments cut away, without looking at statements."""
    signs = re.sub(r"#[^\r\n]*", "", text).count("=")
    if signs != gates:
        raise CountMismatch("gates read and = signs in the text differ", file=file, expected=signs, found=gates)


def _comments(text: str) -> list[str]:
    comments = (line.split("#", 1)[1].strip() for line in split_lines(text) if "#" in line)
    return [comment for comment in comments if comment][:20]


def _declared_warnings(text: str, ports: dict[str, dict[str, int]], gates: list[PlacedGate]) -> tuple[str, ...]:
    """Compare the counts that benchmark files carry in a comment; they are notes, so a difference is a warning."""
    flip_flops = sum(1 for placed in gates if placed.gate.function == "DFF")
    found = {"i": len(ports["INPUT"]), "o": len(ports["OUTPUT"]), "d": flip_flops}
    warnings = []
    for line in split_lines(text):
        if not line.lstrip().startswith("#"):
            continue
        for count, what in re.findall(r"(\d+)\s+(inputs?|outputs?|D-type\s+flip-?flops?)\b", line, re.IGNORECASE):
            actual = found[what[0].lower()]
            if int(count) != actual:
                warnings.append(f"a comment says {count} {what}, the statements make {actual}")
    return tuple(warnings)
