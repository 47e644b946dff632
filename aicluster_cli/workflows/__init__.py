"""What each command does, as plain functions: they neither print nor know Typer."""
