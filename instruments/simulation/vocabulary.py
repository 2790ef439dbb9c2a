"""Delays of cells and wires, in one set of columns and units."""

from instruments.vocabulary import Column, Vocabulary

DELAY_ARC = Vocabulary(
    "delay_arc",
    "one delay of an instance or a wire, from SDF",
    (
        Column("cell", "text", "", "the cell's type", required=True),
        Column("instance", "text", "", "hierarchical name; empty for the design itself", required=True),
        Column("arc", "text", "", "IOPATH, INTERCONNECT, PORT, NETDELAY or DEVICE", required=True),
        Column("source", "text", "", "pin or port that changes; empty where the arc names only one", required=True),
        Column("target", "text", "", "pin or port that follows", required=True),
        Column("edge", "text", "", "posedge or negedge of the source where only that counts"),
        Column("condition", "text", "", "when it holds, in the file's words; empty: always"),
        Column("incremental", "flag", "", "added to what the library says instead of replacing it", required=True),
        Column("rise_min_s", "number", "s", "shortest delay of a rising target"),
        Column("rise_s", "number", "s", "typical delay of a rising target"),
        Column("rise_max_s", "number", "s", "longest delay of a rising target"),
        Column("fall_min_s", "number", "s", "shortest delay of a falling target"),
        Column("fall_s", "number", "s", "typical delay of a falling target"),
        Column("fall_max_s", "number", "s", "longest delay of a falling target"),
    ),
)

LIBRARY_PIN = Vocabulary(
    "library_pin",
    "one pin of a library cell, from Liberty",
    (
        Column("cell", "text", "", "the cell's type", required=True),
        Column("pin", "text", "", "its name", required=True),
        Column("direction", "text", "", "input, output, inout or internal"),
        Column("capacitance_f", "number", "F", "what it loads a net with"),
        Column("function", "text", "", "what an output computes, in the library's words"),
    ),
)

LIBRARY_TIMING = Vocabulary(
    "library_timing",
    "one entry of a delay table of a library cell, from Liberty",
    (
        Column("cell", "text", "", "the cell's type", required=True),
        Column("source", "text", "", "pin that changes", required=True),
        Column("target", "text", "", "output that follows", required=True),
        Column("edge", "text", "", "rise or fall of the output", required=True),
        Column("sense", "text", "", "positive_unate, negative_unate or non_unate"),
        Column("timing_type", "text", "", "combinational, rising_edge, …; empty: combinational"),
        Column("condition", "text", "", "when it holds, in the library's words; empty: always"),
        Column("slew_s", "number", "s", "transition time of the input", required=True),
        Column("load_f", "number", "F", "capacitance that the output drives", required=True),
        Column("delay_s", "number", "s", "from the input's to the output's threshold", required=True),
        Column("transition_s", "number", "s", "transition time of the output", required=True),
    ),
)
