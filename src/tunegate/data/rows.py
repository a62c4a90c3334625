"""The canonical row: what every source becomes, and what all later stages read.

`id` is stable and unique, `group` names rows that must not be separated by a split, `messages` is a conversation or
`text` + `label` a question with its one-word answer, `slices` are named subgroups for the metrics, `source` is where
the row came from.
"""

import pyarrow as pa

MESSAGE = pa.struct([("role", pa.string()), ("content", pa.string())])

ROW = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("group", pa.string(), nullable=False),
        pa.field("messages", pa.list_(MESSAGE)),
        pa.field("text", pa.string()),
        pa.field("label", pa.string()),
        pa.field("slices", pa.map_(pa.string(), pa.string()), nullable=False),
        pa.field("source", pa.string(), nullable=False),
    ]
)
