"""What the logs of testers are read into, whatever tester wrote them.

Indices count rows of the other tables of the same file from 0; -1 stands for none. Times without a zone are the
tester's own local time.
"""

from instruments.vocabulary import Column, Vocabulary

TEST_RUN = Vocabulary(
    "test_run",
    "one run of a test program over a lot or sublot",
    (
        Column("lot_id", "text", "", "the lot"),
        Column("sublot_id", "text", "", "the sublot"),
        Column("part_type", "text", "", "the product tested"),
        Column("program", "text", "", "name of the test program"),
        Column("program_revision", "text", "", "revision of the test program"),
        Column("tester", "text", "", "name of the tester"),
        Column("tester_type", "text", "", "type of the tester"),
        Column("station", "number", "", "number of the tester's station"),
        Column("operator", "text", "", "who ran it"),
        Column("mode", "text", "", "the mode code: P production, D development, E engineering, …"),
        Column("retest", "text", "", "the lot's retest code"),
        Column("test_step", "text", "", "the phase or step of testing"),
        Column("temperature", "text", "", "the temperature as the file writes it"),
        Column("burn_in_min", "number", "min", "burn-in time"),
        Column("setup_at", "text", "", "date and time of the setup, ISO 8601"),
        Column("started_at", "text", "", "date and time of the first part, ISO 8601"),
        Column("finished_at", "text", "", "date and time of the last part, ISO 8601"),
        Column("parts", "integer", "", "parts in the file", required=True),
        Column("results", "integer", "", "results in the file", required=True),
        Column("complete", "flag", "", "the file has the record that ends it", required=True),
    ),
)

TEST_ITEM = Vocabulary(
    "test_item",
    "one test of the program with one set of limits; a result with other limits than the test's own has its own item",
    (
        Column("test_number", "integer", "", "number of the test", required=True),
        Column("kind", "text", "", "parametric, multiple, functional, scan, or unknown", required=True),
        Column("name", "text", "", "the test's text, or else its name in the summary"),
        Column("unit", "text", "", "unit of its values and limits"),
        Column("low_limit", "number", "", "in the item's unit; only where low_limit_state is given"),
        Column("high_limit", "number", "", "in the item's unit; only where high_limit_state is given"),
        Column("low_limit_state", "text", "", "given, none (the test has no low limit), or unknown", required=True),
        Column("high_limit_state", "text", "", "given, none (the test has no high limit), or unknown", required=True),
        Column("low_spec", "number", "", "low specification limit in the item's unit"),
        Column("high_spec", "number", "", "high specification limit in the item's unit"),
        Column("result_scale", "number", "", "power of ten by which a display would scale the value"),
        Column("low_scale", "number", "", "power of ten by which a display would scale the low limit"),
        Column("high_scale", "number", "", "power of ten by which a display would scale the high limit"),
        Column("result_format", "text", "", "how a display would write the value"),
        Column("low_format", "text", "", "how a display would write the low limit"),
        Column("high_format", "text", "", "how a display would write the high limit"),
        Column("input_start", "number", "", "first value of the swept condition, in the input's unit"),
        Column("input_step", "number", "", "step of the swept condition, in the input's unit"),
        Column("input_unit", "text", "", "unit of the swept condition"),
        Column("is_default", "flag", "", "the test's own limits; else they hold for single results", required=True),
        Column("results", "integer", "", "rows of test_result with this item", required=True),
        Column("executions_declared", "number", "", "executions in the tester's summary"),
        Column("failures_declared", "number", "", "failures in the tester's summary"),
        Column("alarms_declared", "number", "", "alarms in the tester's summary"),
    ),
)

TEST_PART = Vocabulary(
    "test_part",
    "one insertion of one part; a part that was tested again has a row for each time",
    (
        Column("part_id", "text", "", "the part's name"),
        Column("head", "integer", "", "test head", required=True),
        Column("site", "integer", "", "test site", required=True),
        Column("wafer_index", "integer", "", "row of test_wafer", required=True),
        Column("x", "number", "", "column of the die on the wafer"),
        Column("y", "number", "", "row of the die on the wafer"),
        Column("hard_bin", "number", "", "hardware bin"),
        Column("soft_bin", "number", "", "software bin"),
        Column("passed", "flag", "", "the part passed", required=True),
        Column("failed", "flag", "", "the part failed; neither when the tester gave no verdict", required=True),
        Column("finished", "flag", "", "the file has the part's result; false for a part that never ended"),
        Column("abnormal_end", "flag", "", "testing of the part ended abnormally"),
        Column("superseded", "flag", "", "a later row is the same part tested again"),
        Column("tests_declared", "number", "", "tests executed on it, as its result says"),
        Column("results", "integer", "", "test records that belong to it, an array counted once", required=True),
        Column("test_time_s", "number", "s", "time that testing it took"),
        Column("text", "text", "", "what the tester says of the part"),
        Column("repair", "text", "", "repair information, hexadecimal"),
    ),
)

TEST_RESULT = Vocabulary(
    "test_result",
    "one value of one test on one part; a test that returns an array has a row for each element",
    (
        Column("part_index", "integer", "", "row of test_part", required=True),
        Column("test_index", "integer", "", "row of test_item", required=True),
        Column("value", "number", "", "in the item's unit; missing where the flags forbid its use", required=True),
        Column("value_as_recorded", "number", "", "the number in the file, whatever the flags say", required=True),
        Column("valid", "flag", "", "the flags allow the value's use", required=True),
        Column("passed", "flag", "", "the test passed", required=True),
        Column("failed", "flag", "", "the test failed; neither when there is no verdict", required=True),
        Column("test_flags", "integer", "", "TEST_FLG verbatim", required=True),
        Column("parameter_flags", "integer", "", "PARM_FLG verbatim; 0 for tests without", required=True),
        Column("element", "integer", "", "place in the returned array, from 0"),
        Column("pin_index", "integer", "", "pin of the element, as test_pin numbers it; -1 for none"),
        Column("pin_state", "integer", "", "returned state of the pin; -1 for none"),
        Column("alarm", "text", "", "name of the alarm"),
    ),
)

FUNCTIONAL_RESULT = Vocabulary(
    "functional_result",
    "what a functional test says beside its verdict",
    (
        Column("result_index", "integer", "", "row of test_result", required=True),
        Column("vector_name", "text", "", "vector module or pattern"),
        Column("time_set", "text", "", "time set"),
        Column("op_code", "text", "", "vector op code"),
        Column("cycle", "number", "", "cycle count of the vector"),
        Column("relative_address", "number", "", "relative address of the vector"),
        Column("repeat_count", "number", "", "repeat count of the vector"),
        Column("failing_pins", "number", "", "how many pins failed"),
        Column("fail_x", "number", "", "X logical address of the failing device"),
        Column("fail_y", "number", "", "Y logical address of the failing device"),
        Column("vector_offset", "number", "", "offset from the vector of interest"),
        Column("failing_pin_list", "text", "", "the failing pins, as test_pin numbers them, comma-separated"),
        Column("returned_states", "text", "", "pin=state of each returned state, comma-separated"),
        Column("programmed_states", "text", "", "pin=state of each programmed state, comma-separated"),
        Column("program_text", "text", "", "additional programmed information"),
        Column("result_text", "text", "", "additional result information"),
        Column("pattern_generator", "number", "", "number of the pattern generator"),
    ),
)

SCAN_FAIL = Vocabulary(
    "scan_fail",
    "one failing bit that a scan test logged",
    (
        Column("result_index", "integer", "", "row of test_result", required=True),
        Column("cycle", "number", "", "test cycle"),
        Column("pin_index", "number", "", "failing pin, as test_pin numbers it"),
        Column("chain", "number", "", "scan chain"),
        Column("pattern", "number", "", "pattern"),
        Column("bit", "number", "", "bit position in the chain"),
        Column("expected", "number", "", "expected state, as the file codes it"),
        Column("captured", "number", "", "captured state, as the file codes it"),
        Column("new_state", "number", "", "new state, as the file codes it"),
        Column("text", "text", "", "the user's text"),
    ),
)

TEST_PIN = Vocabulary(
    "test_pin",
    "one pin or channel of the tester, for one head and site",
    (
        Column("pin_index", "integer", "", "number that results refer to", required=True),
        Column("channel_type", "number", "", "type of the channel"),
        Column("channel", "text", "", "name of the channel"),
        Column("physical_name", "text", "", "physical name of the pin"),
        Column("logical_name", "text", "", "logical name of the pin"),
        Column("head", "integer", "", "test head", required=True),
        Column("site", "integer", "", "test site", required=True),
        Column("groups", "text", "", "names of the groups that it belongs to, comma-separated"),
    ),
)

TEST_WAFER = Vocabulary(
    "test_wafer",
    "one wafer, as one test head saw it",
    (
        Column("wafer_id", "text", "", "the wafer"),
        Column("head", "integer", "", "test head", required=True),
        Column("site_group", "integer", "", "site group; 255 for all sites", required=True),
        Column("started_at", "text", "", "date and time of the first part, ISO 8601"),
        Column("finished_at", "text", "", "date and time of the last part, ISO 8601"),
        Column("parts", "integer", "", "parts of it in the file", required=True),
        Column("parts_declared", "number", "", "parts tested, as the tester says"),
        Column("retests_declared", "number", "", "parts retested, as the tester says"),
        Column("aborts_declared", "number", "", "aborts, as the tester says"),
        Column("good_declared", "number", "", "good parts, as the tester says"),
        Column("functional_declared", "number", "", "functional parts, as the tester says"),
        Column("fab_wafer_id", "text", "", "the fab's name of the wafer"),
        Column("frame_id", "text", "", "the wafer's frame"),
        Column("mask_id", "text", "", "the wafer's mask"),
    ),
)

BIN_SUMMARY = Vocabulary(
    "bin_summary",
    "one bin of one site, or of all sites together",
    (
        Column("bin_type", "text", "", "hard or soft", required=True),
        Column("bin", "text", "", "number or code of the bin", required=True),
        Column("name", "text", "", "its name"),
        Column("quality", "text", "", "pass, fail, or what else the file says"),
        Column("head", "number", "", "test head; missing for all together"),
        Column("site", "number", "", "test site; missing for all together"),
        Column("count_declared", "number", "", "parts in it, as the tester says"),
        Column("count", "integer", "", "parts in it in the file", required=True),
    ),
)
