"""What ``docs/formats.md`` says of each adapter. An adapter without an entry is described by its own docstrings."""

import inspect
import sys
from dataclasses import dataclass

from instruments.adapter import Adapter


@dataclass(frozen=True)
class FormatSummary:
    """Variants that are read, fields that are kept, the independent count, what is refused, all in words."""

    variants: str
    fields_kept: str
    second_count: str
    refused: str


SUMMARIES: dict[str, FormatSummary] = {
    "lecroy_trc": FormatSummary(
        "templates LECROY_2_3, LECROY_2_2 and LECROY_1_0, 8 and 16 bits, both byte orders, sequences as segments",
        "codes with gain and offset, unit, dt, t0, trigger time of each segment, sweeps, WAVEDESC verbatim, user text",
        "the lengths of all arrays in WAVEDESC add up to the file; bytes / width = WAVE_ARRAY_COUNT",
        "a second array (extrema, complex), RIS and histograms, an axis that is not time; padding of stopped "
        "acquisitions is left out, an interval or first time that sparse sending hides is unknown",
    ),
    "tektronix_wfm": FormatSummary(
        "WFM#001 to WFM#003, both byte orders; analog records, parallel logic lines, FastFrame sets as segments with "
        "their average, or without their envelope, interleaved I and Q as two waveforms",
        "codes with gain and offset, unit, dt, t0, trigger time and part of a sample of each frame, the "
        "named values after the curve",
        "the frames in both headers, the offsets in the curve objects, the length in the header and the checksum; of I "
        "and Q the sample rate in the notes against the horizontal scale",
        "minima and maxima, I and Q without a sample rate, damaged notes",
    ),
    "tektronix_isf": FormatSummary(
        "short and long keywords, with XZERO or PT_OFF alone, binary and ASCII curves, 8 and 16 bits, Y and ENV",
        "codes with gain and offset, unit, dt, t0; an envelope as two waveforms, every preamble field",
        "the length in the curve's block header against NR_PT and the bytes that are there",
        "other point formats and encodings, several FastFrame frames in a curve (NR_FR), an axis that is not time",
    ),
    "float_container": FormatSummary(
        "Keysight/Agilent AG01, AG03, AG10 and Rigol RG01 (MSO5000, MSO7000, MSO8000) and RG03 (DHO) .bin; segments, "
        "peak detect as envelopes, logic, also as the MSO5074 stores it",
        "float32 values, unit, dt, t0, time tags of segments, model, date, label",
        "the walk over all headers and buffers ends at the declared and the real end of the file",
        "histograms, concatenated exports whose sizes contradict each other",
    ),
    "oscilloscope": FormatSummary(
        "Rigol .wfm of the DS1000B, DS1000C, DS1000D, DS1000E and DS1000Z families, through RigolWFM",
        "8-bit codes with gain and offset, unit, dt, t0, memory depth, the fields of the header",
        "own arithmetic on the file's length and header: channels, samples, interval, first time",
        "families whose files prove nothing of themselves: DS2000, DS4000, DS6000, DHO .wfm",
    ),
    "rohde_schwarz_pair": FormatSummary(
        "RTO, RTE and RTP: settings (XML) and samples as a bundle; histories as segments, several channels, envelopes, "
        "raw 8- and 16-bit codes, interleaved x/y",
        "float32 values or codes with gain and offset, unit, dt, t0, time stamp of each acquisition, settings verbatim",
        "8 bytes, and for each acquisition its stamp and SignalHardwareRecordLength rows, are the payload; "
        "HardwareXStart leads to XStart in steps; with x/y every printed time; minima are below maxima",
        "logic lines and buses, spectra, 16-bit codes with the most significant byte first, a file of the pair alone",
    ),
    "delimited": FormatSummary(
        "time and value columns, headers of Tektronix (above or beside the samples, logic lines), LeCroy, Keysight "
        "InfiniiVision and Infiniium (channels or segments beside one another), PicoScope and Rigol (also t0 and tInc "
        "beside the titles, UltraScope), none; semicolons, tabs, decimal commas, UTF-16, empty columns; histories "
        "without a header as segments, where their times begin again",
        "values, unit, dt, t0; a sequence number is not taken for time; Start and Increment applied",
        "lines counted on the bytes, rows parsed, the count in the header; each printed time against t0 + i dt",
        "a missing or repeated sample, variants of known writers that are not known",
    ),
    "tdms": FormatSummary(
        "versions 4712 and 4713, several groups, channels, segments and chunks; interleaved, big-endian, DAQmx with"
        " one scaler a channel, digital lines, complex, texts and time stamps as tables",
        "native numbers with one linear scale as gain and offset, other scales computed, unit, dt, t0, all properties",
        "an own walk over lead-ins, object lists and raw data indices against npTDMS, for each channel",
        "unfinished or cut segments, a unit or scale that changes after some data, DAQmx with several scalers "
        "or a format bitmap, unknown scale types, .tdms_index",
    ),
    "hdf5": FormatSummary(
        "any file, by an explicit mapping.json: waveforms, segments along an axis, maps",
        "native numbers with gain and offset, unit, dt or a regular time dataset, t0, trigger times, attributes",
        "shape x bytes of an item = stored bytes; the number of written chunks = that of the shape",
        "a file without a mapping; links, storage and views outside the file; chunks never written; bombs",
    ),
    "signal_map": FormatSummary(
        "TIFF pages (integer, float, complex; strips, tiles, BigTIFF) and grids of text, by an explicit map.json",
        "bands in their unit, pitch, frequency, bandwidth, orientation and affine to the layout, phase wrapping",
        "an own walk over the TIFF directories: bytes of the strips = rows x columns x width; separators of a grid;"
        " amplitude and phase against real and imaginary parts; affine against pitch",
        "an image without a sidecar, several samples a pixel",
    ),
    "probing_session": FormatSummary(
        "a folder or .zip with session.json, schema faultlight.probing-session/1",
        "the document verbatim, netlist, patterns, fails, placement, dump, waveforms, maps",
        "patterns drive every input, fails name outputs, probes name nets, cycles agree",
        "a named file that is missing or refused; no waveform without maps, or netlist and patterns",
    ),
    "value_change_dump": FormatSummary(
        "VCD: aliases, split vectors, lone bits and words by their index, escaped names, reals, strings, events, "
        "nine-valued logic, ports, variables without bits, $timezero, fractional stamps, a missing $timescale; FST: "
        "zlib, fastlz, lz4, gzip-wrapped",
        "changes of each variable with its identifier, width, kind, timescale, time zero",
        "VCD: a token walk of the text, number and checksum of the changes of each identifier; FST: variables, handles,"
        " blocks and times of the header",
        "extended dumps (EVCD), dumps cut within a change, FST files that the simulator never closed",
    ),
    "standard_delay": FormatSummary(
        "SDF 2.1, 3.0 and IEEE 1497: IOPATH, INTERCONNECT, PORT, NETDELAY, DEVICE; absolute, incremental, conditional",
        "delays of rising and falling targets, three numbers each, in seconds; header",
        "arcs read against words of arcs in the text; parentheses",
        "timing checks and environments, high impedance, RETAIN, path pulses",
    ),
    "liberty": FormatSummary(
        "Liberty with the non-linear delay model (table_lookup)",
        "pins, capacitances, functions; delay and transition over input transition and load, in base units",
        "tables read against cell_rise and cell_fall in the text; values against the axes; braces",
        "other delay models, constraints, power, noise, current and statistical tables, cells with buses",
    ),
    "bench_netlist": FormatSummary(
        "ISCAS .bench with constants", "gates, ports, comments", "= signs in the text = gates", "loops, undriven nets"
    ),
    "verilog_netlist": FormatSummary(
        "gate-level Verilog, primitives and sky130 cells, hierarchy flattened, plain D flip-flops",
        "gates with truth tables, ports, cells without function counted",
        "a token scan counts instances of each type and assignments against the elaborated netlist",
        "behaviour, unknown cells, directives that change the text",
    ),
    "klarf": FormatSummary(
        "1.1, 1.2, 1.7 (flat) and 1.8 (nested), UTF-8 mark, several wafers, several defect lists, rows that end with ; "
        "each, IMAGELIST",
        "defects in micrometres on the wafer, all columns, class names, images",
        "tokens = rows x columns; positions against a RADIUS column; the summary",
        "a second wafer without defects of its own, rows with another number of tokens",
    ),
    "stdf": FormatSummary(
        "V4 and V4-2007, plain or gzip, both byte orders; PTR, MPR, FTR, STR over several records",
        "values with validity and verdict, limits and units with the defaults of a test's first record, parts, retests,"
        " bins, wafers, pins and groups, functional details, scan fails; all other records verbatim",
        "the walk over the record headers ends at the last byte; PCR, HBR, SBR, WRR, TSR and NUM_TEST against the"
        " parts, bins, executions and failures in the file, each difference a warning with both numbers",
        "version 3, VAX numbers, cut records, parts that do not pair, results outside a part, two files in one",
    ),
    "e142_map": FormatSummary(
        "SEMI E142 XML of any namespace version; several substrates; pictures and lists of single devices; Ascii, "
        "Decimal, HexaDecimal, Integer2 codes",
        "one row a die: place, coordinates by origin and axes, place turned upright, code, quality, steps; header",
        "the dimensions of the layout, the count of each bin, the tags in the raw bytes",
        "other map types, unknown code types, document types and entities, bins with two qualities, two codes of one "
        "device",
    ),
    "g85_map": FormatSummary(
        "SEMI G85 XML, with or without its namespace and BinType; codes with or without blanks",
        "one row a die: place, coordinates by origin, place turned upright, code, quality; header verbatim",
        "Rows and Columns, the count of each bin, the tags in the raw bytes",
        "codes whose type and width nothing says, document types and entities",
    ),
    "sinf_map": FormatSummary(
        "SINF text with codes of any width, with or without blanks, reference dies, places without a die",
        "one row a die: place, code, whether good, steps; header verbatim (FNLOC, REFPX, REFPY not applied)",
        "ROWCT and COLCT, the marks in the raw bytes; DIECT, a difference a warning",
        "unknown units of steps, lines that are no NAME:value",
    ),
    "readouts": FormatSummary(
        "text with commas, semicolons or tabs, decimal commas, UTF-8, UTF-16 or Windows-1252; Parquet; times in any "
        "known unit",
        "device, time in hours, parameter, value, unit, limits, result, stress; other columns as they are",
        "lines in the bytes or row groups, declared rows and devices",
        "times without a unit, values without a unit, a parameter with two units",
    ),
    "lifetimes": FormatSummary(
        "text as of readouts and Parquet: exact, right-, left- and interval-censored, truncated, with counts; F and S",
        "status, times in hours, counts, truncation, mode, stress; other columns as they are",
        "lines in the bytes or row groups, declared rows and devices",
        "times without a unit, times that contradict the status or the truncation, counts that are no whole numbers",
    ),
    "unit_evidence": FormatSummary(
        "text as of readouts and Parquet: a unit a row, a feature of a modality a column, traces too; outcomes alone",
        "unit, when it was judged, outcome and since when it is known, lot, wafer; features with their units",
        "lines in the bytes or row groups, declared rows and failed units",
        "times that are none, outcomes known before the unit was judged, words for outcomes that are not known",
    ),
    "atdf": FormatSummary(
        "ATDF with any delimiter, lines that go on, LF and CR LF",
        "as of STDF; values and limits in the unit that the file writes",
        "lines that begin a record in the raw bytes; the tester's own totals, each difference a warning",
        "other versions than 4, a last record that is cut, flags without a meaning",
    ),
    "wmap_map": FormatSummary(
        "WMAP text, rows alone or behind MAP001, MAP002, …",
        "one row a die: place, code, whether good, coordinates where reference dies confirm the corner; the header",
        "ROWCNT, COLCNT and SUMPAS",
        "compressed rows, a code that is good and something else",
    ),
    "laser_log": FormatSummary(
        "text with commas, semicolons or tabs, decimal commas; JSON lines; XML; UTF-8, UTF-16 or Windows-1252; units "
        "in names, in brackets, beside names or in each value",
        "one row a step in the vocabulary repair_step, other columns as they are, the log's own words",
        "lines, objects or tags in the bytes; the number of steps that the log declares",
        "unknown units, two steps of one number, steps that end before they begin, document types and entities",
    ),
    "fib_log": FormatSummary(
        "as of laser_log, of ion and electron beams",
        "one row a step in the vocabulary repair_step, other columns as they are, the log's own words",
        "lines, objects or tags in the bytes; the number of steps that the log declares",
        "as of laser_log",
    ),
    "fibsem_image": FormatSummary(
        "TIFF of FEI/Thermo (sections or XML), Zeiss and TESCAN; 8 to 64 bits, several images, plain or compressed",
        "grey values, pixel pitch in metres, beam and stage in SI units, the maker's tags verbatim, caption rows",
        "the bytes of the strips = rows x columns x samples x width; the pitch against the width of the field",
        "images that do not expand, strips outside the file; a pitch that is not given or no number is unknown",
    ),
    "mask_metrology": FormatSummary(
        "text of widths and of registration errors, units in names or brackets, decimal commas, mask or wafer scale",
        "one row a site: place, target and measured width, registration errors, sigmas; other columns as they are",
        "lines in the bytes, the number of sites that the file declares",
        "unknown units, wafer scale without a magnification, commas that may separate thousands",
    ),
    "glp": FormatSummary(
        "GLP clips as the ICCAD-2013 contest has them: RECT and PGON on named levels, any EQUIV scale",
        "one row a polygon: level, vertices in nanometres, box, area; the cell",
        "lines of shapes in the bytes (fuzzing); ENDMSG at the end",
        "other records, axes and modes, shapes before the scale, anything after ENDMSG",
    ),
    "layout": FormatSummary(
        "GDSII and OASIS through klayout, OASIS.MASK (P44) check",
        "cells, layers with shape counts, database unit, boxes",
        "an own walk over the records of either format, per layer",
        "cut streams, checksums that do not match",
    ),
}


def summary_of(adapter: Adapter) -> FormatSummary:
    """Return the entry of ``adapter``, or what its docstrings say."""
    known = SUMMARIES.get(adapter.name)
    if known is not None:
        return known
    text = " ".join((inspect.getdoc(type(adapter)) or "").split())
    module = " ".join((inspect.getdoc(sys.modules[type(adapter).__module__]) or "").split())
    sentences = [sentence.strip(" .") for sentence in module.split(". ")]
    counts = [sentence for sentence in sentences if "count" in sentence.lower()]
    return FormatSummary(text.rstrip("."), "", counts[0] if counts else "", "")
