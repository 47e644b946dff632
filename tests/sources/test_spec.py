import subprocess
import sys

import pytest

from aicluster_cli.errors import UsageError
from aicluster_cli.sources.spec import FORMATS, SourceSpec


def test_a_spec_needs_an_input_or_a_query():
    with pytest.raises(UsageError, match="nothing to read") as caught:
        SourceSpec(text_column="text").check()
    assert "--input" in caught.value.hint


def test_a_spec_needs_text_or_embedding():
    with pytest.raises(UsageError, match="neither") as caught:
        SourceSpec(input="a.csv").check()
    assert "--text-column" in caught.value.hint


def test_a_spec_takes_text_or_embedding_not_both():
    with pytest.raises(UsageError, match=r"both a text column \(t\) and an embedding column \(e\)"):
        SourceSpec(input="a.csv", text_column="t", embedding_column="e").check()


def test_an_unknown_format_is_refused_with_the_close_one():
    with pytest.raises(UsageError, match="unknown input format 'JSONLines'") as caught:
        SourceSpec(input="a", text_column="t", input_format="JSONLines").check()
    assert "did you mean jsonl?" in caught.value.hint
    assert all(known in caught.value.hint for known in FORMATS)


def test_verbatim_columns_are_those_named_once_each():
    spec = SourceSpec(input="a", id_column="a", text_column="a", partition_column="p")
    assert spec.verbatim_columns == ("a", "p")


def test_naming_a_source_imports_nothing_heavy():
    heavy = "{'pyarrow', 'duckdb', 'numpy', 'wordllama', 'tokenizers'}"
    code = (
        "import sys, aicluster_cli.sources.spec, aicluster_cli.sources.reader, aicluster_cli.sources.embedder;"
        f"print(sorted({heavy} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
