"""Caption tables whose pictures do not fit into the memory that a test grants, and the memory that a call takes."""

import contextlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROWS, PICTURE = 400, 2**19  # added to each table: 200 MiB of pictures
GROUP = 50  # rows in a row group
GRANTED = 150  # MiB; whoever reads all pictures of a table takes them as Arrow's and as Python's, 400


def add_pictures(data):
    """Add rows with large pictures, last by uid and of a source that nothing selects, to both caption tables of `data`."""
    for path in (data / f"captions/{name}.parquet" for name in ("kept", "rejected")):
        table = pq.read_table(path)
        row = dict.fromkeys(table.column_names) | {"text": "bulk", "source": "bulk", "concept": "bulk", "drawings": []}
        row |= {"reason": "bulk"} if path.stem == "rejected" else {}
        with pq.ParquetWriter(path, table.schema, compression="zstd", use_dictionary=False) as file:
            file.write_table(table)
            for start in range(0, ROWS, GROUP):
                rows = [row | {"uid": f"~{number:03d}"} for number in range(start, start + GROUP)]
                rows = [row | {"original": row["uid"].encode().ljust(PICTURE, b"\0")} for row in rows]
                file.write_table(pa.Table.from_pylist(rows, schema=table.schema))


@contextlib.contextmanager
def little_memory():
    """A block that may take GRANTED MiB at its peak, beyond what the process has."""
    pa.default_memory_pool().release_unused()
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here on
    before = _peak()
    yield
    assert _peak() - before < GRANTED


def _peak() -> float:
    """The process's largest resident set, in MiB."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 2**10
