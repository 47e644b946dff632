"""``register``, ``models``, ``setup`` and ``doctor``; and the version that a run chooses."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from e2e_tools import REPOSITORY, Project, Result, Terminal, clean_environment, command
from sample_tables import VECTOR_ARGS, vectors, write_csv

KMEANS, DEEP = "AI_CLUSTER_KMEANS", "AI_CLUSTER_DEEP"


def registered(project: Project) -> list[tuple[str, str]]:
    return [(model["model"], model["version"]) for model in project("models", "--json").json["models"]]


# --- register ---


def test_register_builds_all_models_once(project):
    first = project("register", "--comment", "the first", "--json").succeeded()
    assert first.json["schema"] == "aicluster.registrations/1"
    assert [(model["model"], model["version"], model["created_now"]) for model in first.json["models"]] == [
        (KMEANS, "V1", True),
        (DEEP, "V1", True),
    ]
    for model in first.json["models"]:
        folder = Path(model["location"])
        assert folder == project.root / "registry" / model["model"] / "V1"
        assert model["comment"] == "the first"
        assert {path.name for path in folder.iterdir()} >= {"MANIFEST.yml", "functions", "model", "aicluster.json"}
    second = project("register", "--comment", "another").succeeded()
    assert second.table == [["MODEL", "VERSION", "OUTCOME"], [KMEANS, "V1", "unchanged"], [DEEP, "V1", "unchanged"]]
    assert f"{KMEANS} V1 has this content already; nothing to do" in second.err
    assert registered(project) == [(DEEP, "V1"), (KMEANS, "V1")]
    assert project.leftovers() == []


def test_dry_run_of_register_changes_nothing(project):
    plan = project("register", "--dry-run", "--json").succeeded()
    assert plan.json == {
        "schema": "aicluster.plan/1",
        "models": [
            {"model": KMEANS, "action": "register", "version": None},
            {"model": DEEP, "action": "register", "version": None},
        ],
    }
    assert not project.root.exists()


def test_dry_run_of_register_knows_what_is_there(ready):
    assert ready("register", "kmeans", "--dry-run").table == [
        ["MODEL", "ACTION", "PRESENT VERSION"],
        [KMEANS, "nothing", "V1"],
    ]


def test_register_under_a_name(project):
    project("register", "kmeans", "--version", "nightly_1").succeeded()
    assert registered(project) == [(KMEANS, "NIGHTLY_1")]
    result = project("register", "kmeans", "--version", "1st")
    assert result.code == 2
    assert result.errors[0] == "error: '1st' cannot be a version's name"


def test_register_of_an_unknown_model(project):
    result = project("register", "kmeens")
    assert (result.code, result.out) == (2, b"")
    assert result.errors == [
        "error: no model is called 'kmeens'",
        f"hint: the models are kmeans ({KMEANS}), deep ({DEEP})",
    ]


# --- models ---


def test_models_lists_versions(ready):
    assert registered(ready) == [(DEEP, "V1"), (KMEANS, "V1")]
    header, *rows = ready("models").table
    assert header == ["MODEL", "VERSION", "PYTHON", "CREATED", "CONTENT", "COMMENT"]
    assert {row[2] for row in rows} == {f"{sys.version_info.major}.{sys.version_info.minor}"}


def test_models_show_tells_everything_about_a_model(ready):
    (model,) = ready("models", "show", "kmeans", "--json").json["models"]
    assert (model["model"], model["version"], model["problem"]) == (KMEANS, "V1", "")
    assert model["params"] == {"n_clusters": 0, "random_state": 42, "n_init": 1, "max_iter": 100, "smoothing": "auto"}
    assert re.fullmatch(r"[0-9a-f]{64}", model["content_hash"])
    assert not any("hdbscan" in requirement for requirement in model["requirements"])
    (deep,) = ready("models", "show", DEEP.lower(), "--version", "v1", "--json").json["models"]
    assert any("hdbscan" in requirement for requirement in deep["requirements"])
    assert ["V1", "params", "n_clusters=0, random_state=42, n_init=1, max_iter=100, smoothing=auto"] in ready(
        "models", "show", "kmeans"
    ).table


def test_models_show_of_what_is_not_registered(ready):
    result = ready("models", "show", "deep", "--version", "v7")
    assert (result.code, result.errors) == (
        1,
        [f"error: {DEEP} V7 is not registered", "hint: aicluster register deep"],
    )


def test_drop_off_a_terminal_needs_yes(ready):
    result = ready.process("models", "drop", "kmeans", "--version", "V1")
    assert (result.code, result.out) == (2, b"")
    assert result.errors == [
        f"error: Remove {KMEANS} V1? There is no terminal to ask on",
        "hint: pass --yes to go ahead",
    ]
    assert registered(ready) == [(DEEP, "V1"), (KMEANS, "V1")]
    planned = ready("models", "drop", "kmeans", "--dry-run").succeeded()
    assert planned.table[1][:2] == [KMEANS, "V1"]
    assert "nothing was changed" in planned.err
    removed = ready("models", "drop", "kmeans", "--yes").succeeded()
    assert f"removed {KMEANS} V1" in removed.err
    assert registered(ready) == [(DEEP, "V1")]
    assert ready("models", "drop", "kmeans", "--yes").code == 1


@pytest.mark.parametrize(("answer", "code", "left"), [("n\n", 1, 2), ("y\n", 0, 1)])
def test_drop_asks_on_a_terminal(ready, answer, code, left):
    terminal = Terminal(ready.folder, "models", "drop", "kmeans")
    terminal.read_until(f"Remove {KMEANS} V1? [y/N] ")
    terminal.type(answer)
    assert terminal.finish() == code
    assert ("not confirmed; nothing was changed" in terminal.output) is (code == 1)
    assert len(registered(ready)) == left


# --- versions and runs ---


class Workbench:
    """A project beside a changed copy of the package, which its commands run instead of the real one."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.code = project.folder / "code"
        package = self.code / "aicluster_cli"
        shutil.copytree(REPOSITORY / "aicluster_cli", package, ignore=shutil.ignore_patterns("__pycache__"))
        choose = package / "clustering" / "choose.py"
        changed = choose.read_text().replace("SAMPLE_ROWS = 10_000", "SAMPLE_ROWS = 12")
        assert changed != choose.read_text()
        choose.write_text(changed)

    def __call__(self, *args: str) -> Result:
        done = subprocess.run(
            command(*args),
            capture_output=True,
            cwd=self.project.folder,
            env=clean_environment(PYTHONPATH=str(self.code)),
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr.decode())

    def sampled_rows(self, run_id: str) -> int:
        (details,) = self.project.record(run_id).details
        return details["sampled_rows"]


def test_changed_content_is_registered_by_the_run_and_the_old_version_still_runs(ready):
    write_csv(ready.folder / "vectors.csv", vectors())
    run = ("run", *VECTOR_ARGS[:-1], "n_clusters=0", "--input", "vectors.csv", "--json")
    changed = Workbench(ready)
    planned = changed(*run, "--dry-run").succeeded().json
    assert (planned["registers"], planned["version"]) == (True, "(new)")

    new = changed(*run, "--run-id", "new").succeeded()
    assert f"registered {KMEANS} V2, since its content has changed" in new.err
    assert new.json["version"] == "V2"
    assert changed.sampled_rows("new") == 12

    old = changed(*run, "--run-id", "old", "--version", "v1").succeeded()
    assert "registered" not in old.err
    assert old.json["version"] == "V1"
    assert changed.sampled_rows("old") == 36  # the code that V1 shipped, though the project's own has changed
    hashes = {model["content_hash"] for model in ready("models", "show", "kmeans", "--json").json["models"]}
    assert len(hashes) == 2


def test_missing_model_is_registered_by_the_run_that_says_so(demo):
    _, result = demo
    assert f"registered {KMEANS} V1, since it was missing" in result.err
    assert f"registered {DEEP} V1, since it was missing" in result.err


def test_unknown_version(ready):
    write_csv(ready.folder / "vectors.csv", vectors())
    result = ready("run", *VECTOR_ARGS, "--input", "vectors.csv", "--version", "V9")
    assert (result.code, result.out) == (1, b"")
    assert result.errors == [
        f"error: {KMEANS} has no version V9; registered: V1",
        "hint: choose one of these, or leave --version out",
    ]
    assert ready.run_ids == set()


@pytest.mark.parametrize("version", [(), ("--version", "V1")])
def test_artefact_of_another_python_is_refused_with_the_cure(ready, version):
    write_csv(ready.folder / "vectors.csv", vectors())
    manifest = ready.root / "registry" / KMEANS / "V1" / "MANIFEST.yml"
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    text = re.sub(rf"(?m)^(\s+version: ['\"]?){re.escape(here)}(['\"]?)$", r"\g<1>3.99\2", manifest.read_text())
    assert text != manifest.read_text()
    manifest.write_text(text)
    result = ready("run", *VECTOR_ARGS, "--input", "vectors.csv", *version)
    assert result.code == 1
    assert result.errors == [
        (
            f"error: {KMEANS} V1 was built by Python 3.99 and this is {here}; "
            "a pickled model works on the minor version that wrote it only"
        ),
        "hint: aicluster register kmeans",
    ]
    assert ready.run_ids == set()
    assert ready("register", "kmeans", "--dry-run").table[1] == [KMEANS, "register", ""]


def test_artefact_whose_files_have_changed_is_refused_with_the_cure(ready):
    write_csv(ready.folder / "vectors.csv", vectors())
    (code,) = (ready.root / "registry" / KMEANS / "V1").rglob("kmeans.py")
    code.write_text(code.read_text() + "\n")
    result = ready("run", *VECTOR_ARGS, "--input", "vectors.csv")
    assert result.code == 1
    assert result.errors[0].startswith(f"error: {KMEANS} V1 is broken: ")
    assert "kmeans.py has changed since it was registered" in result.errors[0]
    assert "aicluster models drop kmeans --version V1 --yes" in result.errors[1]
    findings = ready("doctor", "--json")
    assert findings.code == 1
    (failed,) = [check for check in findings.json["checks"] if check["result"] == "FAIL"]
    assert (failed["name"], failed["cure"]) == (KMEANS, "aicluster models drop kmeans --version V1 --yes")


# --- setup and doctor ---


def test_setup_makes_the_folders_once(project):
    planned = project("setup", "--dry-run", "--json").succeeded()
    assert planned.json["applied"] is False
    assert {step["action"] for step in planned.json["steps"]} == {"create"}
    assert not project.root.exists()
    made = project("setup").succeeded()
    assert made.err == f"made {len(made.table) - 1} folders\n"
    assert {row[2] for row in made.table[1:]} == {str(project.root), *map(str, project.root.iterdir())}
    again = project("setup", "--json").succeeded()
    assert {step["action"] for step in again.json["steps"]} == {"nothing"}
    assert "everything is there already" in again.err


def test_doctor_finds_nothing_wrong(ready):
    result = ready("doctor", "--json").succeeded()
    assert result.json["schema"] == "aicluster.doctor/1"
    checks = {check["name"]: check for check in result.json["checks"]}
    assert {"profile", "Python", "store", "disk", "threads", KMEANS, DEEP, "embedding model"} <= set(checks)
    assert checks[KMEANS]["found"] == "V1 is registered"
    assert checks["embedding model"]["found"] == "wordllama-256, 256 dimensions"
    assert "none failed" in result.err


def test_doctor_fails_with_a_cure_for_an_embedding_model_that_is_not_there(project):
    path = project.folder / "aicluster.yaml"
    path.write_text(path.read_text() + "embedding: {model: no-such-model}\n")
    result = project("doctor", "--json")
    assert result.code == 1
    (failed,) = [check for check in result.json["checks"] if check["result"] == "FAIL"]
    assert failed["name"] == "embedding model"
    assert failed["cure"]
    assert re.search(r"1 of \d+ checks failed", result.err)


def test_doctor_fails_where_the_store_cannot_be(project):
    project.write("aicluster.yaml", f"platform: local\nroot: {project.folder}/aicluster.yaml/store\n")
    checks = {check["name"]: check for check in project("doctor", "--json").json["checks"]}
    assert checks["store"]["result"] == "FAIL"
    assert "choose another root" in checks["store"]["cure"]


def test_root_that_is_a_file_is_an_error(project):
    project.root.write_text("in the way")
    for args in (["setup"], ["register", "kmeans"], ["demo"]):
        result = project(*args)
        assert result.code == 1
        assert str(project.root) in result.errors[0]
    assert project.root.read_text() == "in the way"


def test_parameter_that_an_older_version_lacks_is_refused(ready):
    label = ready.root / "registry" / KMEANS / "V1" / "aicluster.json"
    known = json.loads(label.read_text())
    del known["params"]["smoothing"]
    label.write_text(json.dumps(known))
    write_csv(ready.folder / "vectors.csv", vectors())
    result = ready("run", *VECTOR_ARGS, "--input", "vectors.csv", "--version", "V1", "--set", "smoothing=off")
    assert result.code == 2
    assert "V1 has no such parameter" in result.errors[0]
