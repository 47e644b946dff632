"""Reading files, standard input and DuckDB queries as Arrow batches; embedding text locally."""
