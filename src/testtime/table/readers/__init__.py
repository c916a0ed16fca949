"""Tables from files of any size: what a file is is found from its bytes, and said.

Readers turn bytes into frames and nothing more: text stays text, types stay types. What the columns mean is found by
:class:`testtime.table.columns.TableColumns`, which reads frames from Python the same way.
"""

from testtime.table.readers.formats import Format
from testtime.table.readers.tables import (
    FileFacts,
    iterate_table,
    open_table,
    read_table,
    require_columns,
    with_names,
)

__all__ = [
    "FileFacts",
    "Format",
    "iterate_table",
    "open_table",
    "read_table",
    "require_columns",
    "with_names",
]
