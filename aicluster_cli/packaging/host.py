"""Runs a registered artefact through its generated handler, the way Snowflake would; started by file path.

This process must import the shipped code and not an installed copy of it, so this file imports nothing of the project:
it is started by its path and with ``-P``, which keeps its own folder off ``sys.path``, the handler puts the artefact's
``model/code`` first there, and afterwards every module of the project that got loaded is checked to come from it.

The job comes as one line of JSON on standard input, which then stays open: when the parent goes away, so does this
process. Progress and the outcome go to standard output, one JSON object a line; whatever the libraries print goes to
standard error.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import threading
import types
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import pandas as pd
    import pyarrow as pa

PROJECT = "aicluster_cli"
PARTITION = "PARTITION"
PART_ROWS = 250_000


def main() -> int:
    """Run the job on standard input; return the exit code."""
    report = _own_stdout()
    job = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        outcome = run_job(job, lambda **event: _tell(report, event))
    except BaseException as error:
        if not isinstance(error, Exception):
            raise
        _tell(report, {"event": "failed", "type": _kind(error), "message": str(error), "errno": _errno(error)})
        import traceback

        traceback.print_exc()
        return 1
    _tell(report, {"event": "done", **outcome})
    return 0


def run_job(job: dict[str, Any], tell: Any) -> dict[str, Any]:
    """Cluster every partition of the job's input and write the parts and the marker.

    Parameters
    ----------
    job
        ``artefact``, ``method``, ``params``, ``input`` (a Parquet file: ROW_ID, EMBEDDING, REASON and, if ``partition``
        names a column of the output, PARTITION), ``output`` (the folder of the parts).
    tell
        Called with ``event=…`` for progress.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(job["threads"]):
        tell(event="stage", stage="load")
        handler, param_names = load_handler(Path(job["artefact"]), job["method"])
        table = _read_input(Path(job["input"]))
        groups = list(_partitions(table))
        params = [job["params"].get(name) for name in param_names]  # the handler takes None for the default
        tell(event="stage", stage="cluster", rows=len(table), partitions=len(groups))
        results = []
        for number, rows in enumerate(groups, start=1):
            results.append(_call(handler, table, rows, params))
            tell(event="progress", done=number)
    tell(event="stage", stage="write")
    output = _in_input_order(results, groups, table, job["partition"])
    _write_parts(output, Path(job["output"]))
    return {"rows": len(table), "versions": _versions()}


def load_handler(artefact: Path, method: str) -> tuple[Any, list[str]]:
    """Return the generated handler of a method, and the order of its parameters.

    Raises
    ------
    ImportError
        If a module of the project came from anywhere but the artefact.
    """
    stub: Any = types.ModuleType("_snowflake")  # what the handler imports inside Snowflake
    stub.vectorized = lambda **_: lambda function: function
    stub.udf_init_once = lambda function: function
    sys.modules["_snowflake"] = stub
    sys._xoptions["snowflake_import_directory"] = f"{artefact}{os.sep}"
    spec = importlib.util.spec_from_file_location("handler", artefact / "functions" / f"{method}.py")
    if spec is None or spec.loader is None:
        raise ImportError(f"the artefact has no handler for {method}")
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    _check_origin(artefact)
    return module.infer(), list(module.param_cols)


def _check_origin(artefact: Path) -> None:
    shipped = (artefact / "model" / "code").resolve()
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == PROJECT:
            origin = Path(module.__file__ or "nowhere").resolve()
            if not origin.is_relative_to(shipped):
                raise ImportError(f"{name} was imported from {origin} and not from the artefact")


def _read_input(path: Path) -> pa.Table:
    """Read the rows, and condemn every copy of an id that occurs twice, also across partitions.

    Null ids are no copies of each other: the model has a verdict for them.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(path, memory_map=True)
    counts: Any = pc.value_counts(table["ROW_ID"].drop_null())
    copies = counts.filter(pc.greater(counts.field("counts"), pa.scalar(1)))
    if len(copies) == 0:
        return table
    among = pc.index_in(table["ROW_ID"], copies.field("values"))
    texts = pc.binary_join_element_wise("duplicate id: ", copies.field("counts").cast(pa.string()), " rows have it", "")
    reasons = pc.coalesce(pc.take(texts, among), table["REASON"])
    return table.set_column(table.schema.get_field_index("REASON"), "REASON", reasons)


def _partitions(table: pa.Table) -> Iterator[np.ndarray]:
    """Yield the row numbers of each partition, in order of first appearance; nulls are a partition of their own."""
    import numpy as np

    if PARTITION not in table.column_names:
        yield np.arange(len(table))
        return
    encoded: Any = _comparable(table[PARTITION]).dictionary_encode(null_encoding="encode")
    codes = np.concatenate([chunk.indices.to_numpy() for chunk in encoded.chunks])
    order = np.argsort(codes, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)


def _comparable(column: pa.ChunkedArray[Any]) -> pa.ChunkedArray[Any]:
    """Return the column with dictionaries spelt out and one zero: -0.0 is the same number, but not the same bits."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not pa.types.is_floating(column.type):
        return column
    return pc.add(column.cast(pa.float64()), pa.scalar(0.0))


def _call(handler: Any, table: pa.Table, rows: np.ndarray, params: list[Any]) -> pd.DataFrame:
    """Call the handler with one partition, and put the reasons known beforehand in place of the model's."""
    import pandas as pd

    part = table if len(rows) == len(table) else table.take(rows)
    known = part["REASON"].to_pandas()
    vectors = _vectors(part["EMBEDDING"]).where(known.isna(), None)
    frame = pd.DataFrame({"ID": part["ROW_ID"].to_pandas(), "EMBEDDING": vectors})
    for at, value in enumerate(params):
        frame[f"PARAM_{at}"] = value
    result: pd.DataFrame = handler.end_partition(frame)
    if len(result) != len(rows):
        raise RuntimeError(f"the model returned {len(result)} rows for {len(rows)}")
    result["REASON"] = known.where(known.notna(), result["REASON"])
    return result


def _vectors(column: pa.ChunkedArray[Any]) -> pd.Series:
    """Return a Series of float32 views into the column's memory, None where null."""
    import numpy as np
    import pandas as pd

    vectors = np.full(len(column), None, dtype=object)
    at = 0
    chunk: Any
    for chunk in column.chunks:
        offsets, values = chunk.offsets.to_numpy(), chunk.values.to_numpy(zero_copy_only=False)
        for row, valid in enumerate(chunk.is_valid().to_numpy(zero_copy_only=False)):
            if valid:
                vectors[at + row] = values[offsets[row] : offsets[row + 1]]
        at += len(chunk)
    return pd.Series(vectors, dtype=object)


def _in_input_order(
    results: list[pd.DataFrame], groups: list[np.ndarray], table: pa.Table, partition: str | None
) -> pa.Table:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    frame = pd.concat(results, ignore_index=True)
    order = np.argsort(np.concatenate(groups), kind="stable")
    output = pa.Table.from_pandas(frame, schema=_output_schema(frame), preserve_index=False).take(order)
    if partition is not None:
        output = output.append_column(table.schema.field(PARTITION).with_name(partition), table[PARTITION])
    return output


def _output_schema(frame: pd.DataFrame) -> pa.Schema:
    import pyarrow as pa

    types: dict[str, pa.DataType] = {"Int64": pa.int64(), "float64": pa.float64()}
    return pa.schema([(str(name), types.get(str(kind), pa.string())) for name, kind in frame.dtypes.items()])


def _write_parts(output: pa.Table, folder: Path) -> None:
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    unique = uuid.uuid4().hex[:6]
    for number, start in enumerate(range(0, len(output), PART_ROWS)):
        part = folder / f"1_{unique}_{number:06d}-0.parquet"
        unfinished = folder / f".{part.name}.part"
        try:
            with unfinished.open("wb") as file:
                pq.write_table(output.slice(start, PART_ROWS), file, compression="zstd")
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(part)
        finally:
            unfinished.unlink(missing_ok=True)
    (folder / "_SUCCESS").touch()


def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for package in ("numpy", "scikit-learn", "hdbscan", "pandas", "snowflake-ml-python"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _own_stdout() -> TextIO:
    """Keep standard output for the reports, and send what anybody else prints to standard error."""
    report = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return report


def _tell(report: TextIO, event: dict[str, Any]) -> None:
    report.write(json.dumps(event) + "\n")
    report.flush()


def _end_with_parent() -> None:
    while sys.stdin.read(4096):
        continue
    os._exit(1)


def _kind(error: Exception) -> str:
    return "MemoryError" if isinstance(error, MemoryError) else type(error).__name__  # NumPy and Arrow have their own


def _errno(error: Exception) -> int | None:
    return error.errno if isinstance(error, OSError) else None


if __name__ == "__main__":
    sys.exit(main())
