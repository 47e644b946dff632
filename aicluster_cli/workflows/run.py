"""One run: read, embed, check, cluster, write the rows out, keep the record."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from aicluster_cli.errors import AiclusterError, BadRowsError, InterruptedRunError, RunError, UsageError
from aicluster_cli.packaging.spec import ModelSpec, spec_for
from aicluster_cli.records import IDENTIFIER, ModelVersion, RunRecord, SourceRecord, now
from aicluster_cli.workflows.context import reader_versions
from aicluster_cli.workflows.request import RowLimit, RunPlan, RunRequest, RunResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aicluster_cli.clustering.params import ParamValue
    from aicluster_cli.results.summary import RunSummary
    from aicluster_cli.sources.embedder import Embedder
    from aicluster_cli.sources.reader import Source
    from aicluster_cli.workflows.context import Context


def plan_run(context: Context, request: RunRequest, stdin: BinaryIO) -> RunPlan:
    """Check everything a run needs and return what it would do; nothing is changed.

    Raises
    ------
    UsageError, InputError, OutputError, ModelError
        As ``run`` would, before it starts.
    """
    spec, params = _check(context, request)
    with _opened(request, stdin) as source:
        version = context.platform.find_version(spec, request.version)
        return RunPlan(
            model=spec.name,
            version=version.version if version else "(new)",
            registers=version is None,
            params=params,
            source=source.name,
            columns={field.name: str(field.type) for field in source.schema},
            output=str(request.output) if request.output else context.platform.location(request.run_id or "(new run)"),
        )


def run(
    context: Context,
    request: RunRequest,
    stdin: BinaryIO,
    present: Callable[[RunRecord], None] | None = None,
) -> RunResult:
    """Run a model over a source, and leave the run's folder and, if asked, an output file behind.

    Parameters
    ----------
    stdin
        Where an input of ``-`` is read.
    present
        Called with the finished record while the run's input is still there, also when it is not to be kept.

    Raises
    ------
    UsageError, InputError
        If the request or the source cannot be right; nothing is left behind.
    OutputError
        If a file cannot be written, or exists already.
    JobFailedError
        If the clustering fails; the run's record says so.
    """
    spec, params = _check(context, request)
    with _opened(request, stdin) as source:
        version = _version(context, spec, request.version)
        params = _known_params(request, version, params)
        record = _new_record(context, request, version, params, source)
        with context.platform.claim(record.run_id, overwrite=request.overwrite):
            finished = _finished_before(context, record, source)
            if finished is None:
                embedder = _embedder(context, request)
                _carry_out(context, request, record, source, embedder)
            record = finished or record
            output = _deliver(context, request, record)
            if present is not None:
                present(record)
            if not request.keep_inputs:
                _discard_input(context, record)
    return RunResult(record, output, _excess(record, request.max_bad_rows), rejoined=finished is not None)


def _check(context: Context, request: RunRequest) -> tuple[ModelSpec, dict[str, ParamValue]]:
    from aicluster_cli.profile.overrides import effective_params

    spec = spec_for(request.model)
    if request.run_id is not None and not IDENTIFIER.fullmatch(request.run_id):
        raise UsageError(
            f"{request.run_id!r} cannot be a run's id",
            hint="use letters, digits and _, not starting with a digit: nightly_1",
        )
    if request.output is not None:
        from aicluster_cli.files import ensure_writable_target
        from aicluster_cli.results.write import check_output_path

        ensure_writable_target(request.output, overwrite=request.overwrite)
        check_output_path(request.output)
    return spec, effective_params(context.profile, spec.info, request.params)


@contextmanager
def _opened(request: RunRequest, stdin: BinaryIO) -> Iterator[Source]:
    from aicluster_cli.results.join import check_source_names
    from aicluster_cli.sources.reader import open_source

    with tempfile.TemporaryDirectory(prefix="aicluster-") as spool:
        source = open_source(request.source, stdin=stdin, spool=Path(spool))
        partition = request.source.partition_column
        check_source_names(source.schema.names if request.join else [partition] if partition else [])
        yield source


def _version(context: Context, spec: ModelSpec, wanted: str | None) -> ModelVersion:
    found = context.platform.find_version(spec, wanted)
    if found is not None:
        return found
    older = any(version.model == spec.name for version in context.platform.models())
    with context.reporter.stage(f"registering {spec.name}") as stage:
        registration = context.platform.register(spec)
        why = "its content has changed" if older else "it was missing"
        stage.done(f"registered {spec.name} {registration.version.version}, since {why}")
    return registration.version


def _known_params(request: RunRequest, version: ModelVersion, params: dict[str, ParamValue]) -> dict[str, ParamValue]:
    """Return the parameters that the version has: an older one may lack some of today's."""
    lacking = [name for name in request.params if name not in version.params]
    if lacking:
        raise UsageError(
            f"--set {lacking[0]}: {version.model} {version.version} has no such parameter",
            hint=f"its parameters are {', '.join(version.params)}; without --version the present content is run",
        )
    return {name: value for name, value in params.items() if name in version.params}


def _new_record(
    context: Context, request: RunRequest, version: ModelVersion, params: dict[str, ParamValue], source: Source
) -> RunRecord:
    asked = request.source
    model = context.profile.profile.embedding.model if asked.text_column else None
    return RunRecord(
        run_id=context.platform.run_name(request.run_id or _new_run_id(version.model)),
        model=version.model,
        version=version.version,
        content_hash=version.content_hash,
        platform=context.platform.name,
        params=dict(params),
        source=SourceRecord(
            name=source.name,
            input=asked.input,
            query=asked.query,
            format=source.format,
            files=list(source.files),
            id_column=asked.id_column,
            text_column=asked.text_column,
            embedding_column=asked.embedding_column,
            partition_column=asked.partition_column,
        ),
        embedding_model=model,
        versions=reader_versions(),
        inputs_kept=request.keep_inputs,
    )


def _new_run_id(model: str) -> str:
    stamp = datetime.now(UTC).strftime("%Y%m%d_%H%M%S")
    return f"{model.removeprefix('AI_CLUSTER_')}_{stamp}_{secrets.token_hex(2)[:3].upper()}"


def _finished_before(context: Context, record: RunRecord, source: Source) -> RunRecord | None:
    """Return the finished record of the same work under this run id, or None if there is work to do."""
    try:
        before = context.platform.find_run(record.run_id)
    except RunError:
        return None
    if before.status != "done":
        return None
    for _ in source.batches():  # a query's content hash is known after reading
        continue
    record.source.content_hash = source.content_hash
    if before.request() != record.request():
        different = [key for key, value in record.request().items() if before.request()[key] != value]
        raise UsageError(
            f"the run {before.run_id} exists and is of other work (different: {', '.join(different)})",
            hint="choose another --run-id, or --overwrite",
        )
    return before


def _embedder(context: Context, request: RunRequest) -> Embedder | None:
    if request.source.text_column is None:
        return None
    from aicluster_cli.sources.embedder import load_embedder

    return load_embedder(context.profile.profile.embedding.model)


def _carry_out(
    context: Context, request: RunRequest, record: RunRecord, source: Source, embedder: Embedder | None
) -> None:
    started = time.monotonic()
    platform = context.platform
    platform.save(record)
    try:
        _stage(context, request, record, source, embedder)
        platform.save(record)
        _cluster(context, record)
        summary = _collect(context, record)
        _complete(record, summary, time.monotonic() - started)
        platform.save(record)
    except BaseException as error:
        _fail(context, record, error, time.monotonic() - started)
        raise


def _stage(context: Context, request: RunRequest, record: RunRecord, source: Source, embedder: Embedder | None) -> None:
    from aicluster_cli.workflows.staging import stage_input

    what = "embedding" if embedder else "reading"
    folder = Path(context.platform.location(record.run_id)) / "input"
    started = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    with context.reporter.stage(f"{what} {source.name}") as stage:
        staged = stage_input(
            source,
            request.source,
            embedder,
            folder,
            keep_source=request.keep_inputs or request.join,
            stage=stage,
        )
        stage.done(f"{'embedded' if embedder else 'read'} {staged.rows:,} rows of {source.name}")
    record.rows = record.source.rows = staged.rows
    record.source.content_hash = source.content_hash
    record.timings["read"] = round(time.monotonic() - started, 3)


def _cluster(context: Context, record: RunRecord) -> None:
    started = time.monotonic()
    with context.reporter.stage(f"clustering {record.rows:,} rows with {record.model}") as stage:

        def follow(event: dict[str, Any]) -> None:
            if event["event"] == "progress":
                stage.update(1)
            elif event.get("partitions", 1) > 1:
                stage.update(0, total=event["partitions"])

        context.platform.execute(record, follow)
        stage.done(f"clustered {record.rows:,} rows with {record.model} {record.version}")
    record.timings["cluster"] = round(time.monotonic() - started, 3)


def _collect(context: Context, record: RunRecord) -> RunSummary:
    """Read the parts back, which checks that every row is there and was clustered with all others."""
    from aicluster_cli.results.parts import read_parts, split_details
    from aicluster_cli.results.summary import summarise

    partition = record.source.partition_column
    table = read_parts(
        context.platform.files(record.run_id),
        record.run_id,
        expected_rows=record.rows,
        partition_column=partition,
    )
    table, details = split_details(table)
    record.details = [{"partition": _plain(value), **found} if partition else found for value, found in details]
    return summarise(table, partition)


def _complete(record: RunRecord, summary: RunSummary, seconds: float) -> None:
    record.status = "done"
    record.clustered_rows = summary.clustered_rows
    record.clusters = summary.clusters
    record.outliers = summary.outliers
    record.bad_rows = summary.bad_rows
    record.bad_rows_by_reason = dict(summary.reasons)
    if record.source.partition_column:
        record.partitions = [
            {**vars(part), "value": _plain(part.value), "reasons": dict(part.reasons)} for part in summary.partitions
        ]
    record.finished = now()
    record.seconds = round(seconds, 3)


def _fail(context: Context, record: RunRecord, error: BaseException, seconds: float) -> None:
    record.status = "failed" if isinstance(error, Exception) else "interrupted"
    told = error if isinstance(error, AiclusterError) else None
    if record.status == "interrupted":
        told = InterruptedRunError("interrupted")
    record.error = {
        "code": told.code if told else AiclusterError.code,
        "message": told.message if told else f"{type(error).__name__}: {error}",
    }
    record.finished = now()
    record.seconds = round(seconds, 3)
    _discard_input(context, record)
    with suppress(AiclusterError):  # a full disk may refuse this too; then the lock tells that the run is over
        context.platform.save(record)


def _deliver(context: Context, request: RunRequest, record: RunRecord) -> str:
    from aicluster_cli.workflows.fetch import write_output

    if request.output is None:
        return str(Path(context.platform.location(record.run_id)) / "output" / record.run_id)
    write_output(context, record, request.output, join=request.join, overwrite=request.overwrite)
    return str(request.output)


def _discard_input(context: Context, record: RunRecord) -> None:
    shutil.rmtree(Path(context.platform.location(record.run_id)) / "input", ignore_errors=True)


def _excess(record: RunRecord, limit: RowLimit) -> BadRowsError | None:
    bad, rows = record.bad_rows or 0, record.rows or 0
    reasons = ", ".join(f"{reason}: {count:,}" for reason, count in record.bad_rows_by_reason.items())
    if bad == rows:
        return BadRowsError(f"no row could be clustered ({reasons})", hint="see the REASON column of the output")
    if limit.allows(bad, rows):
        return None
    return BadRowsError(
        f"{bad:,} of {rows:,} rows could not be clustered ({reasons}); the others were",
        hint=f"see the REASON column of the output; --max-bad-rows {bad} accepts them",
    )


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
