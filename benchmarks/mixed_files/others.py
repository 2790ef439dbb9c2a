"""Files of simulation, mask, repair and equipment, small and each another one."""

import io

import numpy as np

from benchmarks.mixed_files.made import Made, Maker, single
from instruments.secs.journal_lines import Heading, Received, write_journal
from tests.instruments.mask import klarf_writer, layout_writer
from tests.instruments.repair import tiff_writer


def value_change_dump(number: int) -> Made:
    """A clock and a bus of four bits."""
    ticks = 2 + number % 40
    head = f"$comment {number} $end\n$timescale 1 ns $end\n$scope module top $end\n$var wire 1 ! clk $end\n"
    head += '$var wire 4 " bus $end\n$upscope $end\n$enddefinitions $end\n'
    lines = "".join(f'#{5 * tick}\n{tick % 2}!\nb{tick % 16:04b} "\n' for tick in range(ticks))
    return single(f"sim_{number:06d}.vcd", head + lines, {"digital_trace": (2, 2 * ticks)})


def bench_netlist(number: int) -> Made:
    """A chain of gates."""
    gates = 1 + number % 30
    lines = [f"# {number}", "INPUT(a)", "INPUT(b)", f"OUTPUT(n{gates - 1})", "n0 = NAND(a, b)"]
    lines += [f"n{k} = NAND(n{k - 1}, b)" for k in range(1, gates)]
    return single(f"chain_{number:06d}.bench", "\n".join(lines) + "\n", {"netlist": (1, gates)})


def verilog_netlist(number: int) -> Made:
    """A chain of gates."""
    gates = 1 + number % 30
    wires = "".join(f"  wire n{k};\n" for k in range(gates))
    chain = "".join(f"  nand g{k} (n{k}, {f'n{k - 1}' if k else 'a'}, b);\n" for k in range(gates))
    text = f"module top_{number} (a, b, y);\n  input a, b;\n  output y;\n{wires}{chain}  buf o (y, n{gates - 1});\n"
    return single(f"chain_{number:06d}.v", text + "endmodule\n", {"netlist": (1, gates + 1)})


def pattern_table(number: int) -> Made:
    """Some cycles of two pins, and one that is named after the number."""
    cycles = 1 + number % 40
    rows = "".join(f"{cycle},{cycle % 2},{cycle // 2 % 2}\n" for cycle in range(cycles))
    return single(f"patterns_{number:06d}.csv", f"cycle,a,p{number}\n{rows}", {"pattern_set": (1, cycles)})


def fail_table(number: int) -> Made:
    """Some failing cycles."""
    cycles = 1 + number % 40
    rows = "".join(f"{number + cycle},y\n" for cycle in range(cycles))
    return single(f"fails_{number:06d}.csv", f"cycle,output\n{rows}", {"fail_log": (1, cycles)})


def placement_table(number: int) -> Made:
    """Some instances."""
    count = 1 + number % 40
    rows = "".join(f"g{k},n{k},{k}.5,{number}.25\n" for k in range(count))
    return single(f"places_{number:06d}.csv", f"instance,net,x_um,y_um\n{rows}", {"placement": (1, count)})


def klarf(number: int) -> Made:
    """Some defects of one wafer."""
    count = 1 + number % 40
    rows = [f"{k} {k}.5 20.25 0 0 0.5 3 1" for k in range(1, count + 1)]
    content = klarf_writer.flat(rows).replace('LotID "L1"', f'LotID "L{number}"')
    return single(f"kla_{number:06d}.klarf", content, {"mask_defect": (1, count)}, says_its_length=True)


def layout(number: int) -> Made:
    """One cell of boxes on some layers."""
    layers = 1 + number % 6
    boxes = [layout_writer.box(layer + 1, 20 * layer, 0, 20 * layer + 10, 10 + number) for layer in range(layers)]
    content = layout_writer.library(layout_writer.structure("TOP", *boxes))
    counts = {"layout_cell": (1, 1), "layout_layer": (1, layers)}
    return single(f"mask_{number:06d}.gds", content, counts, says_its_length=True)


def mask_metrology(number: int) -> Made:
    """Some sites of one mask."""
    count = 1 + number % 40
    head = f"# scale: mask\n# sites: {count}\nmask_id,site_id,x_um,y_um,target_nm,meas_nm\n"
    rows = "".join(f"M{number},A{k},{k}.5,200,400,401.5\n" for k in range(count))
    return single(f"cd_{number:06d}.csv", head + rows, {"metrology_site": (1, count)})


def laser_log(number: int) -> Made:
    """Some steps as JSON lines."""
    count = 1 + number % 20
    head = f'{{"schema": "laser/3", "tool": "LR-{number}", "steps": {count}, "units": {{"depth": "um"}}}}\n'
    rest = '"step_type": "laser", "pulse": {"wavelength_nm": 515, "energy_uj": 1.5}, "depth": 1.25'
    rows = "".join(f'{{"step": {k + 1}, {rest}}}\n' for k in range(count))
    return single(f"job_{number:06d}.jsonl", head + rows, {"repair_step": (1, count)}, says_its_length=True)


def fib_log(number: int) -> Made:
    """Some steps as XML."""
    count = 1 + number % 20
    rows = "".join(
        f'<step number="{k + 1}" site="D{k}"><voltage units="kV">30</voltage>'
        f'<current units="pA">65000</current><ion>Ga</ion><depth units="um">0.5125</depth></step>\n'
        for k in range(count)
    )
    text = f'<?xml version="1.0" encoding="utf-8"?>\n<log tool="FX-{number}" steps="{count}">\n{rows}</log>\n'
    return single(f"fib_{number:06d}.xml", text, {"repair_step": (1, count)}, says_its_length=True)


def fibsem_image(number: int) -> Made:
    """A picture of 6 x 6 pixels."""
    pixels = np.random.default_rng(number).integers(0, 256, (6, 6)).astype(np.uint8)
    content = tiff_writer.tiff(pixels, {34682: tiff_writer.fei(StageR=str(number))})
    return single(f"sem_{number:06d}.tif", content, {"image": (1, pixels.size)}, says_its_length=True)


def secs_journal(number: int) -> Made:
    """Some messages without a body."""
    count = 1 + number % 10
    messages = [
        Received(7 + k, f"2026-11-24T10:00:{k:02d}.000000Z", 1, 0, 1, 1, True, 100 + k, b"") for k in range(count)
    ]
    file = io.BytesIO()
    write_journal(Heading(f"J-{number}", "FIB-03", 1, 7, None), messages, file)
    counts = {"equipment_message": (1, count)}
    return single(f"j_{number:06d}.jsonl", file.getvalue(), counts, says_its_length=True)


MAKERS: dict[str, Maker] = {
    "value_change_dump": value_change_dump,
    "bench_netlist": bench_netlist,
    "verilog_netlist": verilog_netlist,
    "pattern_table": pattern_table,
    "fail_table": fail_table,
    "placement_table": placement_table,
    "klarf": klarf,
    "layout": layout,
    "mask_metrology": mask_metrology,
    "laser_log": laser_log,
    "fib_log": fib_log,
    "fibsem_image": fibsem_image,
    "secs_journal": secs_journal,
}
