"""From a table with mixed columns to numbers: one small class per kind of column, one parser of messy values.

Whatever way a table comes in, from pandas, polars, NumPy, a CSV file whose cells are text or a Parquet file whose
columns have types, its columns are read by :class:`TableColumns`, so that the same data give the same numbers.
"""

from testtime.table.columns.encoded import KINDS, ColumnRecord, Encoded
from testtime.table.columns.frame import DataWarning, as_frame
from testtime.table.columns.table import TableColumns

__all__ = ["KINDS", "ColumnRecord", "DataWarning", "Encoded", "TableColumns", "as_frame"]
