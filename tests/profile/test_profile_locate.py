from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import aicluster_cli
from aicluster_cli.errors import ProfileError
from aicluster_cli.profile.load import load_profile
from aicluster_cli.profile.locate import find_profile, profile_names, shipped_path, template

PACKAGE = Path(aicluster_cli.__file__).parent


def write(path: Path, text: str = "platform: local\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_the_flag_wins_over_environment_and_folder(tmp_path):
    write(tmp_path / "aicluster.yaml")
    write(tmp_path / "one.yaml")
    write(tmp_path / "two.yaml")
    found = find_profile("one", {"AICLUSTER_PROFILE": "two"}, tmp_path)
    assert (found.name, found.path) == ("one", tmp_path / "one.yaml")


def test_the_environment_wins_over_the_folder(tmp_path):
    write(tmp_path / "aicluster.yaml")
    write(tmp_path / "two.yaml")
    assert find_profile(None, {"AICLUSTER_PROFILE": "two"}, tmp_path).path == tmp_path / "two.yaml"


def test_an_empty_environment_variable_counts_as_unset(tmp_path):
    path = write(tmp_path / "aicluster.yaml")
    assert find_profile(None, {"AICLUSTER_PROFILE": ""}, tmp_path).path == path


def test_without_any_of_them_it_is_the_built_in_local_profile(tmp_path):
    loaded = load_profile(env={}, cwd=tmp_path)
    assert (loaded.name, loaded.path, loaded.profile.platform) == ("local", None, "local")
    assert loaded.root == (tmp_path / ".aicluster").resolve()
    assert set(loaded.origins.values()) == {"default"}


def test_a_name_means_this_folder_then_configs_then_the_shipped_one(tmp_path):
    assert find_profile("local", {}, tmp_path).path == shipped_path("local")
    in_configs = write(tmp_path / "configs" / "local.yaml")
    assert find_profile("local", {}, tmp_path).path == in_configs
    here = write(tmp_path / "local.yaml")
    assert find_profile("local", {}, tmp_path).path == here


@pytest.mark.parametrize("value", ["deploy/prod.yaml", "./prod", "prod.yml"])
def test_a_separator_or_a_yaml_ending_makes_a_path(tmp_path, value):
    path = write(tmp_path / value)
    write(tmp_path / "configs" / "prod.yaml")
    found = find_profile(value, {}, tmp_path)
    assert found.path is not None
    assert found.path.resolve() == path.resolve()
    assert found.name == "prod"


def test_a_path_is_not_looked_for_in_configs(tmp_path):
    write(tmp_path / "configs" / "prod.yaml")
    with pytest.raises(ProfileError, match=r"profile prod\.yaml not found"):
        find_profile("prod.yaml", {}, tmp_path)


def test_a_path_may_start_with_the_home_folder(tmp_path, monkeypatch):
    path = write(tmp_path / "home" / "mine.yaml")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert find_profile("~/mine.yaml", {}, tmp_path).path == path


def test_a_profile_that_is_nowhere_lists_the_places_and_the_cure(tmp_path):
    with pytest.raises(ProfileError) as caught:
        load_profile("prod", env={}, cwd=tmp_path)
    assert caught.value.message == (
        "profile prod not found (from --profile): looked for ./prod.yaml, ./configs/prod.yaml"
        " and the shipped profiles (local)"
    )
    assert "aicluster profile init" in caught.value.hint
    assert caught.value.exit_code == 2


def test_a_mistyped_name_gets_the_close_one(tmp_path):
    write(tmp_path / "production.yaml")
    with pytest.raises(ProfileError, match=r"from AICLUSTER_PROFILE.*did you mean production\?"):
        load_profile(env={"AICLUSTER_PROFILE": "producton"}, cwd=tmp_path)


@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_flag_is_an_error_and_not_the_default(tmp_path, value):
    with pytest.raises(ProfileError, match="name is empty"):
        find_profile(value, {}, tmp_path)


def test_a_null_character_is_an_error(tmp_path):
    with pytest.raises(ProfileError, match="null character"):
        find_profile("a\0b.yaml", {}, tmp_path)


def test_a_folder_in_the_place_of_the_profile_is_an_error(tmp_path):
    (tmp_path / "aicluster.yaml").mkdir()
    with pytest.raises(ProfileError, match=r"aicluster\.yaml is a folder"):
        load_profile(env={}, cwd=tmp_path)


def test_a_broken_link_is_an_error_and_not_the_built_in_profile(tmp_path):
    (tmp_path / "aicluster.yaml").symlink_to(tmp_path / "gone.yaml")
    with pytest.raises(ProfileError, match=r"aicluster\.yaml cannot be read: No such file"):
        load_profile(env={}, cwd=tmp_path)


def test_root_is_relative_to_the_profiles_folder(tmp_path):
    write(tmp_path / "deploy" / "prod.yaml", "root: store\n")
    loaded = load_profile("deploy/prod.yaml", env={}, cwd=tmp_path)
    assert loaded.root == (tmp_path / "deploy" / "store").resolve()


def test_root_of_a_shipped_profile_is_relative_to_the_current_folder(tmp_path):
    assert load_profile("local", env={}, cwd=tmp_path).root == (tmp_path / ".aicluster").resolve()


def test_root_of_the_shipped_profile_stays_so_where_its_file_is_named(tmp_path):
    loaded = load_profile(str(shipped_path("local")), env={}, cwd=tmp_path)
    assert loaded.root == (tmp_path / ".aicluster").resolve()


def test_an_absolute_root_and_one_in_the_home_folder_stay_what_they_are(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    write(tmp_path / "a.yaml", f"root: {tmp_path}/elsewhere/../store\n")
    write(tmp_path / "b.yaml", "root: ~/store\n")
    assert load_profile("a", env={}, cwd=tmp_path).root == tmp_path.resolve() / "store"
    assert load_profile("b", env={}, cwd=tmp_path).root == tmp_path.resolve() / "home" / "store"


def test_completion_offers_the_profiles_of_the_folder_and_the_shipped_ones(tmp_path):
    write(tmp_path / "mine.yaml", "# my own\nplatform: local\n")
    write(tmp_path / "configs" / "ci.yaml")
    write(tmp_path / "compose.yaml", "services: {}\n")
    (tmp_path / "folder.yaml").mkdir()
    assert profile_names(tmp_path) == ["ci", "local", "mine"]


def test_completion_works_in_a_folder_that_is_gone(tmp_path):
    assert profile_names(tmp_path / "gone") == ["local"]


def test_the_template_is_the_shipped_file(tmp_path):
    path = shipped_path("local")
    assert path is not None
    assert template() == path.read_text(encoding="utf-8")
    assert template("local").startswith("# ")


@pytest.mark.parametrize("platform", ["snowflake", "../configs/local", ""])
def test_a_template_for_another_platform_is_an_error(platform):
    with pytest.raises(ProfileError, match="no profile template") as caught:
        template(platform)
    assert "local" in caught.value.hint


INSTALLED = """
import os
from aicluster_cli.profile.locate import profile_names, shipped_path
print(shipped_path("local"), shipped_path("other"), profile_names())
"""


def run_python(code: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(folder)!r})\n{code}"],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
    )
    return done.stdout.strip()


def test_an_installed_package_finds_its_profiles_inside_itself(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "aicluster_cli", ignore=shutil.ignore_patterns("__pycache__"))
    shipped = write(tmp_path / "aicluster_cli" / "configs" / "local.yaml")
    assert run_python(INSTALLED, tmp_path) == f"{shipped.resolve()} None ['local']"


def test_an_installed_package_leaves_its_neighbours_folders_alone(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "aicluster_cli", ignore=shutil.ignore_patterns("__pycache__", "configs"))
    write(tmp_path / "configs" / "other.yaml", "not: ours\n")
    assert run_python(INSTALLED, tmp_path) == "None None []"


def test_the_room_is_light_to_import():
    code = (
        "from aicluster_cli.profile import json_schema, load, locate, overrides\n"
        "locate.profile_names()\n"
        "print(sorted({'yaml', 'pydantic', 'pydantic_core', 'numpy'} & set(sys.modules)))"
    )
    assert run_python(code, PACKAGE.parent) == "[]"
