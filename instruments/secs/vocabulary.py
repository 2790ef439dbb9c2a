"""What messages of equipment (SECS-II) are read into: events, alarms, traces, and the list of all messages.

``time`` is when the host received the message, UTC; ``equipment_time`` is what the equipment's own clock said, without
a zone unless it gave one. Ids are text: equipment numbers them in any format, and some give them names.
"""

from instruments.vocabulary import Column, Vocabulary

_MESSAGE = (
    Column("message", "integer", "", "number of the message in the host's journal", required=True),
    Column("time", "text", "", "when the host received it, ISO 8601, UTC", required=True),
    Column("equipment_time", "text", "", "the equipment's own clock, ISO 8601; empty when it said nothing readable"),
    Column("may_repeat", "number", "", "number of an earlier message with the same content that this one may repeat"),
)

_VALUE = (
    Column("variable_id", "text", "", "id of the variable; empty when the configuration does not know the report"),
    Column("variable_name", "text", "", "its name in the configuration"),
    Column("variable_known", "flag", "", "whether the configuration names it"),
    Column("position", "integer", "", "place of the value in its report, from 0; -1 when there is no value"),
    Column("path", "text", "", "place inside a value that is a list, for example 0.2; else empty"),
    Column("element", "integer", "", "place inside a value that is a vector, from 0"),
    Column("count", "integer", "", "elements of the vector; 0 for an empty item, 1 for a scalar or a text"),
    Column("format", "text", "", "format of the item: U4, F8, A, BOOLEAN, …; empty when there is no value"),
    Column("value_number", "number", "", "the value, in unit; missing for text"),
    Column("value_text", "text", "", "the value as text, exact"),
    Column("unit", "text", "", "unit of the value as the configuration says; empty when it does not"),
)

EQUIPMENT_EVENT = Vocabulary(
    "equipment_event",
    "one value of one report of a collection event (S6F11, S6F13); an event without values has one row",
    (
        *_MESSAGE,
        Column("event_id", "text", "", "id of the collection event (CEID)", required=True),
        Column("event_name", "text", "", "its name in the configuration"),
        Column("event_known", "flag", "", "whether the configuration names it"),
        Column("data_id", "text", "", "the equipment's own number of the message (DATAID)"),
        Column("report_id", "text", "", "id of the report (RPTID); empty when there is none"),
        Column("report_name", "text", "", "its name in the configuration"),
        Column("report_known", "flag", "", "whether the configuration names it, with as many variables as came"),
        *_VALUE,
    ),
)

EQUIPMENT_ALARM = Vocabulary(
    "equipment_alarm",
    "one change of an alarm (S5F1)",
    (
        *_MESSAGE,
        Column("alarm_id", "text", "", "id of the alarm (ALID)", required=True),
        Column("is_set", "flag", "", "whether it was set; else it was cleared", required=True),
        Column("alarm_code", "integer", "", "the code's byte (ALCD)", required=True),
        Column("category", "integer", "", "the lower seven bits of the code"),
        Column("category_name", "text", "", "what SEMI E5 calls the category"),
        Column("alarm_text", "text", "", "the equipment's text (ALTX)"),
        Column("alarm_name", "text", "", "the configuration's text"),
        Column("alarm_known", "flag", "", "whether the configuration names it"),
    ),
)

EQUIPMENT_TRACE = Vocabulary(
    "equipment_trace",
    "one value of one sample of a trace (S6F1)",
    (
        *_MESSAGE,
        Column("trace_id", "text", "", "id of the trace (TRID)", required=True),
        Column("trace_name", "text", "", "its name in the configuration"),
        Column("trace_known", "flag", "", "whether the configuration names it, with as many variables as came"),
        Column(
            "sample_number", "number", "", "the equipment's number of the sample (SMPLN), of the last one in a group"
        ),
        Column("sample_in_group", "integer", "", "place of the sample in its message, from 0"),
        Column("samples_in_group", "integer", "", "samples in the message"),
        Column("period_s", "number", "s", "time from sample to sample as the configuration says"),
        *_VALUE,
    ),
)

EQUIPMENT_MESSAGE = Vocabulary(
    "equipment_message",
    "one message that the host received",
    (
        Column("message", "integer", "", "its number in the host's journal", required=True),
        Column("time", "text", "", "when the host received it, ISO 8601, UTC", required=True),
        Column("connection", "integer", "", "number of the connection it came over"),
        Column("session_id", "integer", "", "session or device id of its header"),
        Column("stream", "integer", "", "stream"),
        Column("function", "integer", "", "function"),
        Column("wants_reply", "flag", "", "whether it asked for a reply"),
        Column("system_bytes", "text", "", "system bytes, hexadecimal"),
        Column("body_bytes", "integer", "", "size of its body"),
        Column(
            "read_as",
            "text",
            "",
            "event, alarm, trace, other, repeat (of a message with the same system bytes) or malformed",
        ),
        Column("repeat_of", "number", "", "number of the message that it repeats, or may repeat"),
        Column("doubt", "text", "", "what is doubtful about it"),
        Column("text", "text", "", "its body in SML when it is in no other table, shortened after 2000 characters"),
    ),
)
