"""What a table of output rows amounts to: counts by partition and the clusters in words and examples."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from aicluster_cli.clustering.schema import verdict_of
from aicluster_cli.errors import RunError
from aicluster_cli.results.keywords import cluster_keywords
from aicluster_cli.results.partitions import Groups, group_rows, partition_column_of, plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

OUTLIER = -1
NO_REASON = "no reason given"


@dataclass(frozen=True)
class ClusterSummary:
    """One cluster: its rows, their share of the partition's rows, key words and the messages nearest its centre."""

    cluster: int
    rows: int
    share: float
    keywords: tuple[str, ...]
    examples: tuple[str, ...]
    partition: Any = None


@dataclass(frozen=True)
class _Counts:
    """Rows are clustered, outliers or bad, and nothing else; raises RunError if these do not sum up.

    ``reasons`` counts the bad rows by verdict, the most frequent first.
    """

    rows: int
    clustered_rows: int
    clusters: int
    outliers: int
    bad_rows: int
    reasons: Mapping[str, int]

    def __post_init__(self) -> None:
        total = self.clustered_rows + self.outliers + self.bad_rows
        if self.rows != total or self.bad_rows != sum(self.reasons.values()):
            raise RunError(
                f"{self.rows} rows do not sum up: {self.clustered_rows} clustered, {self.outliers} outliers, "
                f"{self.bad_rows} bad ({sum(self.reasons.values())} with a verdict)",
                hint="the run's parts hold a CLUSTER_ID below -1: register the model again, then run it again",
            )

    @property
    def outlier_share(self) -> float:
        """Outliers among the rows that could be clustered, 0 to 1."""
        usable = self.rows - self.bad_rows
        return self.outliers / usable if usable else 0.0

    @property
    def bad_share(self) -> float:
        """Rows that could not be clustered among all rows, 0 to 1."""
        return self.bad_rows / self.rows if self.rows else 0.0


@dataclass(frozen=True)
class PartitionSummary(_Counts):
    """The counts of one partition, and the value of its column (None for null)."""

    value: Any = None


@dataclass(frozen=True)
class RunSummary(_Counts):
    """The counts of a run, and of each partition if it has a partition column; clusters are those of all partitions."""

    partitions: tuple[PartitionSummary, ...] = ()


def summarise(table: pa.Table, partition_column: str | None) -> RunSummary:
    """Count the rows of a run.

    Parameters
    ----------
    table
        Output rows; CLUSTER_ID, REASON and the partition column are read.
    partition_column
        The column the rows were clustered by, if any.

    Raises
    ------
    RunError
        If a row is neither clustered, nor an outlier, nor bad.
    """
    import numpy as np

    groups = group_rows(table, partition_column)
    labels, is_bad = _labels(table)
    clusters = _cluster_slices(groups.codes, labels).partitions

    def by_partition(codes: npt.NDArray[np.int64]) -> list[int]:
        counts: list[int] = np.bincount(codes, minlength=len(groups.values)).tolist()
        return counts

    columns = (
        by_partition(groups.codes),
        by_partition(groups.codes[labels >= 0]),
        by_partition(clusters),
        by_partition(groups.codes[labels == OUTLIER]),
        by_partition(groups.codes[is_bad]),
    )
    reasons = _reasons(table, groups, is_bad)
    partitions = tuple(
        PartitionSummary(*counts, _by_count(reasons[code]), groups.value(code))
        for code, counts in enumerate(zip(*columns, strict=True))
    )
    rows, clustered_rows, n_clusters, outliers, bad_rows = (sum(column) for column in columns)
    together = _by_count(sum(reasons, Counter()))
    shown = partitions if partition_column is not None else ()
    return RunSummary(rows, clustered_rows, n_clusters, outliers, bad_rows, together, shown)


def describe_clusters(
    table: pa.Table,
    texts: pa.Array[Any] | pa.ChunkedArray[Any] | None,
    top_keywords: int = 5,
    examples: int = 3,
) -> list[ClusterSummary]:
    """Describe each cluster, by partition and then by number; outliers and bad rows are in none.

    Parameters
    ----------
    table
        Output rows, with the partition column if there is one.
    texts
        The text of each row of ``table``, in its order; None if the source has none, then nothing is quoted.
    top_keywords
        How many key words a cluster has at most.
    examples
        How many different texts a cluster has at most: those nearest the centre, ties by row order.

    Raises
    ------
    ValueError
        If ``texts`` and ``table`` differ in length.
    """
    import pyarrow as pa

    if texts is not None and len(texts) != table.num_rows:
        raise ValueError(f"{len(texts)} texts for {table.num_rows} rows")
    groups = group_rows(table, partition_column_of(table))
    labels, _ = _labels(table)
    if texts is not None:
        texts = plain(texts if isinstance(texts, pa.ChunkedArray) else pa.chunked_array([texts]))
    return list(_describe(table, groups, labels, texts, top_keywords, examples))


_NO_CLUSTER = -(2**62)  # stands for a null CLUSTER_ID, where any small number could be a wrong one of a model


@dataclass(frozen=True)
class _ClusterSlices:
    """The clustered rows sorted by partition, cluster and a third thing, and where in ``order`` each cluster starts."""

    order: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    partitions: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]

    def rows(self) -> Iterator[npt.NDArray[np.int64]]:
        """Yield the rows of each cluster."""
        for start, end in pairwise([*self.starts.tolist(), len(self.order)]):
            yield self.order[start:end]


def _labels(table: pa.Table) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    column: Any = table.column("CLUSTER_ID")
    return column.fill_null(_NO_CLUSTER).to_numpy(), column.is_null().to_numpy()


def _cluster_slices(
    codes: npt.NDArray[np.int64], labels: npt.NDArray[np.int64], nearness: npt.NDArray[np.float64] | None = None
) -> _ClusterSlices:
    import numpy as np

    rows = np.flatnonzero(labels >= 0)
    keys = [labels[rows], codes[rows]] if nearness is None else [nearness[rows], labels[rows], codes[rows]]
    order = rows[np.lexsort(keys)]  # stable, so rows come in order where all keys are equal
    changes = (np.diff(codes[order]) != 0) | (np.diff(labels[order]) != 0)
    starts = np.concatenate(([0], np.flatnonzero(changes) + 1)) if len(order) else np.empty(0, dtype=np.int64)
    return _ClusterSlices(order, starts, codes[order[starts]], labels[order[starts]])


def _reasons(table: pa.Table, groups: Groups, is_bad: npt.NDArray[np.bool_]) -> list[Counter[str]]:
    """Return the verdicts of the bad rows of each partition."""
    import numpy as np

    reasons: Any = plain(table.column("REASON")).fill_null(NO_REASON).dictionary_encode()
    verdicts = [verdict_of(reason) for reason in reasons.dictionary.to_pylist()]
    numbers = reasons.indices.to_numpy()[is_bad].astype(np.int64)
    pairs, counts = np.unique(groups.codes[is_bad] * max(len(verdicts), 1) + numbers, return_counts=True)
    found: list[Counter[str]] = [Counter() for _ in range(len(groups.values))]
    for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True):
        code, number = divmod(pair, len(verdicts))
        found[code][verdicts[number]] += count
    return found


def _by_count(reasons: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0])))


def _describe(
    table: pa.Table,
    groups: Groups,
    labels: npt.NDArray[np.int64],
    texts: pa.Array[Any] | None,
    top_keywords: int,
    examples: int,
) -> Iterator[ClusterSummary]:
    import numpy as np

    sizes = np.bincount(groups.codes, minlength=len(groups.values))
    distance: Any = table.column("DISTANCE")
    distances = distance.fill_null(float("nan")).to_numpy()  # NaN sorts last
    slices = _cluster_slices(groups.codes, labels, distances)
    words = _words(texts, slices, top_keywords)
    quoted = _Examples(texts) if texts is not None else None
    for number, rows in enumerate(slices.rows()):
        code, label = int(slices.partitions[number]), int(slices.labels[number])
        yield ClusterSummary(
            cluster=label,
            rows=len(rows),
            share=len(rows) / int(sizes[code]),
            keywords=words[number],
            examples=quoted.first(rows, examples) if quoted is not None else (),
            partition=groups.value(code),
        )


def _words(texts: pa.Array[Any] | None, slices: _ClusterSlices, top: int) -> list[tuple[str, ...]]:
    """Return the key words of each cluster, held against the other clusters of its partition."""
    import numpy as np

    found: list[tuple[str, ...]] = [()] * len(slices.starts)
    if texts is None:
        return found
    lengths = np.diff(np.append(slices.starts, len(slices.order)))
    numbers = np.repeat(np.arange(len(lengths)), lengths)
    partitions = np.repeat(slices.partitions, lengths)
    for start, end in _runs(partitions):
        own = texts.take(slices.order[start:end]).to_pylist()
        for number, words in cluster_keywords(own, numbers[start:end], top).items():
            found[number] = words
    return found


def _runs(numbers: npt.NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    import numpy as np

    if len(numbers):
        changes = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(numbers)]
        yield from pairwise(changes)


class _Examples:
    """Picks different texts, blank ones left out, without spelling out more texts than are wanted."""

    def __init__(self, texts: pa.Array[Any]) -> None:
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        encoded: Any = texts.dictionary_encode("encode")
        self._texts = encoded.dictionary
        self._codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        trimmed: Any = pc.utf8_trim_whitespace(self._texts)
        self._is_blank = pc.equal(trimmed.fill_null(""), pa.scalar("", trimmed.type)).to_numpy(zero_copy_only=False)

    def first(self, rows: npt.NDArray[np.int64], wanted: int) -> tuple[str, ...]:
        """Return the first different texts of ``rows``."""
        import numpy as np

        codes = self._codes[rows]
        codes = codes[~self._is_blank[codes]]
        _, first = np.unique(codes, return_index=True)
        return tuple(self._texts[int(codes[place])].as_py() for place in np.sort(first)[:wanted])
