import errno
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import textwrap
import warnings
from pathlib import Path

import pytest

from aicluster_cli import files
from aicluster_cli.errors import OutputError

TMPFS_BYTES = 64 << 10
AS_ROOT = sys.platform == "linux" and os.geteuid() == 0


def _mount(folder: Path, options: str) -> bool:
    mount = shutil.which("mount")
    if not AS_ROOT or mount is None:
        return False
    command = [mount, "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _umount(folder: Path) -> None:
    subprocess.run(["umount", str(folder)], check=True)


def _may_mount() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        if not _mount(Path(folder), "size=64k"):
            return False
        _umount(Path(folder))
        return True


def _left_behind(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _in_child(code: str, folder: Path) -> dict[str, object]:
    """Run code in a process of its own, whose limits and user are its own too; it prints one JSON object."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(files.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_file_appears_with_the_end_of_the_block_and_not_before(tmp_path):
    target = tmp_path / "rows.csv"
    with files.atomic_write(target) as handle:
        handle.write(b"a,b\n")
        handle.flush()
        [part] = _left_behind(tmp_path)
        assert part.startswith(".rows.csv.")
        assert part.endswith(".part")
    assert target.read_bytes() == b"a,b\n"
    assert _left_behind(tmp_path) == ["rows.csv"]


@pytest.mark.parametrize("raised", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError])
def test_any_exception_keeps_the_old_file_and_removes_the_new_one(tmp_path, raised):
    target = tmp_path / "rows.csv"
    target.write_bytes(b"old")
    with pytest.raises(raised), files.atomic_write(target) as handle:
        handle.write(b"half of the new")
        raise raised
    assert target.read_bytes() == b"old"
    assert _left_behind(tmp_path) == ["rows.csv"]


def test_an_error_of_another_file_in_the_block_is_not_blamed_on_the_output(tmp_path):
    with pytest.raises(FileNotFoundError), files.atomic_write(tmp_path / "rows.csv"):
        (tmp_path / "source.csv").read_bytes()
    assert _left_behind(tmp_path) == []


def test_a_real_interrupt_leaves_nothing_behind(tmp_path):
    (tmp_path / "rows.csv").write_bytes(b"old")
    outcome = _in_child(
        """
        import json, os, signal
        from pathlib import Path
        from aicluster_cli.files import atomic_write
        try:
            with atomic_write(Path("rows.csv")) as handle:
                handle.write(b"x" * 5_000_000)
                os.kill(os.getpid(), signal.SIGINT)
                while True:
                    signal.pause()
        except KeyboardInterrupt:
            print(json.dumps({"interrupted": True}))
        """,
        tmp_path,
    )
    assert outcome == {"interrupted": True}
    assert _left_behind(tmp_path) == ["rows.csv"]
    assert (tmp_path / "rows.csv").read_bytes() == b"old"


def test_file_size_limit_is_reported_and_keeps_the_old_file(tmp_path):
    (tmp_path / "rows.csv").write_bytes(b"old")
    outcome = _in_child(
        """
        import json, resource
        from pathlib import Path
        from aicluster_cli.errors import OutputError
        from aicluster_cli.files import atomic_write
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            with atomic_write(Path("rows.csv")) as handle:
                for _ in range(40):
                    handle.write(b"x" * 100_000)
        except OutputError as error:
            print(json.dumps({"message": error.message, "hint": error.hint}))
        """,
        tmp_path,
    )
    assert "rows.csv is larger than the file size limit allows" in outcome["message"]
    assert "ulimit -f unlimited" in outcome["hint"]
    assert _left_behind(tmp_path) == ["rows.csv"]
    assert (tmp_path / "rows.csv").read_bytes() == b"old"


def test_file_size_limit_met_only_when_the_buffer_is_flushed(tmp_path):
    outcome = _in_child(
        """
        import json, resource
        from pathlib import Path
        from aicluster_cli.errors import OutputError
        from aicluster_cli.files import write_text
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            write_text(Path("report.html"), "x" * 5000)
        except OutputError as error:
            print(json.dumps({"message": error.message}))
        """,
        tmp_path,
    )
    assert "report.html is larger" in outcome["message"]
    assert _left_behind(tmp_path) == []


if _may_mount():

    @pytest.fixture
    def small_disk(tmp_path):
        folder = tmp_path / "small"
        folder.mkdir()
        assert _mount(folder, f"size={TMPFS_BYTES}")
        yield folder
        _umount(folder)

    def test_full_disk_is_reported_and_keeps_the_old_file(small_disk):
        target = small_disk / "rows.parquet"
        target.write_bytes(b"old")
        with pytest.raises(OutputError, match=r"no space left on the disk of .*rows\.parquet") as caught:  # noqa: SIM117
            with files.atomic_write(target) as handle:
                for _ in range(10):
                    handle.write(b"x" * (1 << 20))
        assert "free some space" in caught.value.hint
        assert _left_behind(small_disk) == ["rows.parquet"]
        assert target.read_bytes() == b"old"

    def test_an_exception_on_a_full_disk_is_not_hidden_by_the_full_disk(small_disk):
        with pytest.raises(RuntimeError, match="the real cause"):  # noqa: SIM117
            with files.atomic_write(small_disk / "rows.csv") as handle:
                handle.write(b"x" * (2 * TMPFS_BYTES))  # still in the buffer
                raise RuntimeError("the real cause")
        assert _left_behind(small_disk) == []

    def test_full_disk_in_write_json(small_disk):
        target = small_disk / "run.json"
        files.write_json(target, {"status": "submitted"})
        with pytest.raises(OutputError, match="no space left"):
            files.write_json(target, {"log": "x" * (2 * TMPFS_BYTES)})
        assert json.loads(target.read_text()) == {"status": "submitted"}
        assert _left_behind(small_disk) == ["run.json"]

    def test_read_only_disk_is_found_before_work_begins(small_disk):
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
        with pytest.raises(OutputError, match="not writable"):
            files.ensure_writable_target(small_disk / "rows.csv", overwrite=False)
        with pytest.raises(OutputError, match="not writable"):
            files.write_text(small_disk / "rows.csv", "a")

else:
    warnings.warn(
        "NOT TESTED: a really full disk and a read-only one, for this user may not mount a small tmpfs", stacklevel=1
    )


def test_a_folder_without_permission_is_not_writable(tmp_path):
    folder = tmp_path / "theirs"
    folder.mkdir()
    folder.chmod(0o555)
    tmp_path.chmod(0o755)
    outcome = _in_child(
        """
        import errno, json, os
        from pathlib import Path
        from aicluster_cli.errors import OutputError
        from aicluster_cli.files import ensure_writable_target, write_text
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        said = []
        for attempt in (lambda path: ensure_writable_target(path, False), lambda path: write_text(path, "a")):
            try:
                attempt(Path("theirs/rows.csv"))
            except OutputError as error:
                said.append([error.message, error.hint])
        print(json.dumps({"said": said}))
        """,
        tmp_path,
    )
    folder.chmod(0o755)
    assert len(outcome["said"]) == 2
    for message, hint in outcome["said"]:
        assert message.startswith("theirs/rows.csv is not writable")
        assert hint == "allow writing in the folder theirs, or write elsewhere"


def test_a_missing_folder_comes_with_the_command_that_makes_it(tmp_path):
    target = tmp_path / "no" / "such" / "rows.csv"
    for attempt in (
        lambda: files.ensure_writable_target(target, overwrite=True),
        lambda: files.write_text(target, "a"),
    ):
        with pytest.raises(OutputError, match="there is no folder") as caught:
            attempt()
        assert caught.value.hint == f"mkdir -p {target.parent}"


def test_a_folder_is_no_target_even_with_overwrite(tmp_path):
    for attempt in (
        lambda: files.ensure_writable_target(tmp_path, overwrite=True),
        lambda: files.write_text(tmp_path, "a"),
    ):
        with pytest.raises(OutputError, match="is a folder, not a file"):
            attempt()


def test_a_file_where_the_folder_should_be(tmp_path):
    (tmp_path / "rows").write_text("a file")
    target = tmp_path / "rows" / "rows.csv"
    for attempt in (
        lambda: files.ensure_writable_target(target, overwrite=True),
        lambda: files.write_text(target, "a"),
    ):
        with pytest.raises(OutputError, match="is not a folder"):
            attempt()


def test_an_existing_target_needs_overwrite(tmp_path):
    target = tmp_path / "rows.csv"
    files.ensure_writable_target(target, overwrite=False)
    target.write_text("old")
    with pytest.raises(OutputError, match=r"rows\.csv exists already") as caught:
        files.ensure_writable_target(target, overwrite=False)
    assert "--overwrite" in caught.value.hint
    files.ensure_writable_target(target, overwrite=True)


def test_a_file_that_appears_in_the_meantime_is_kept_without_overwrite(tmp_path):
    target = tmp_path / "rows.csv"
    with pytest.raises(OutputError, match="exists already"), files.atomic_write(target, overwrite=False) as handle:
        handle.write(b"ours")
        target.write_bytes(b"theirs")
    assert target.read_bytes() == b"theirs"
    assert _left_behind(tmp_path) == ["rows.csv"]


def test_without_overwrite_a_new_file_is_written(tmp_path):
    with files.atomic_write(tmp_path / "rows.csv", overwrite=False) as handle:
        handle.write(b"ours")
    assert _left_behind(tmp_path) == ["rows.csv"]
    assert (tmp_path / "rows.csv").stat().st_nlink == 1


def test_a_pipe_or_device_is_never_replaced_by_a_file(tmp_path):
    pipe = tmp_path / "rows.csv"
    os.mkfifo(pipe)
    for attempt in (
        lambda: files.ensure_writable_target(pipe, overwrite=True),
        lambda: files.write_text(pipe, "a"),
    ):
        with pytest.raises(OutputError, match="not a regular file"):
            attempt()
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_link_is_written_through(tmp_path):
    (tmp_path / "data").mkdir()
    target = tmp_path / "data" / "real.csv"
    target.write_text("old")
    link = tmp_path / "rows.csv"
    link.symlink_to(target)
    files.write_text(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_permissions_are_those_of_the_umask_or_of_the_file_replaced(tmp_path):
    before = os.umask(0o027)
    try:
        files.write_text(tmp_path / "new.csv", "a")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new.csv").stat().st_mode) == 0o640
    (tmp_path / "new.csv").chmod(0o604)
    files.write_text(tmp_path / "new.csv", "b")
    assert stat.S_IMODE((tmp_path / "new.csv").stat().st_mode) == 0o604


def test_a_name_as_long_as_the_file_system_takes(tmp_path):
    target = tmp_path / ("é" * 125 + ".csv")
    files.write_text(target, "a")
    assert _left_behind(tmp_path) == [target.name]


def test_json_is_indented_unsorted_and_ends_in_a_newline(tmp_path):
    files.write_json(tmp_path / "run.json", {"b": "Größe", "a": [1, None]})
    assert (tmp_path / "run.json").read_text() == '{\n  "b": "Größe",\n  "a": [\n    1,\n    null\n  ]\n}\n'


def test_json_has_no_nan_and_keeps_the_old_file(tmp_path):
    files.write_json(tmp_path / "run.json", {"a": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        files.write_json(tmp_path / "run.json", {"a": float("nan")})
    assert json.loads((tmp_path / "run.json").read_text()) == {"a": 1}
    assert _left_behind(tmp_path) == ["run.json"]


def test_json_holds_a_file_name_that_is_not_utf8(tmp_path):
    name = os.fsdecode(b"caf\xe9.csv")
    files.write_json(tmp_path / "run.json", {"input": name})
    assert json.loads((tmp_path / "run.json").read_text())["input"] == name


def test_sha256_of_a_file(tmp_path):
    content = b"x" * 3_000_000
    (tmp_path / "a").write_bytes(content)
    assert files.sha256_file(tmp_path / "a") == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "no space left on the disk of out.csv"),
        (errno.EDQUOT, "no space left on the disk of out.csv"),
        (errno.EFBIG, "out.csv is larger than the file size limit"),
        (errno.EACCES, "out.csv is not writable"),
        (errno.EPERM, "out.csv is not writable"),
        (errno.EROFS, "out.csv is not writable"),
        (errno.ENOENT, "there is no folder"),
        (errno.ENOTDIR, "is not a folder"),
        (errno.EISDIR, "out.csv is a folder"),
        (errno.EIO, "out.csv cannot be written: Input/output error"),
    ],
)
def test_every_cause_is_named_with_a_cure(number, words):
    error = files.output_error(Path("out.csv"), OSError(number, os.strerror(number)))
    assert words in error.message
    assert error.hint
    assert error.exit_code == 1
