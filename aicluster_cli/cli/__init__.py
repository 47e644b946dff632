"""The command line: one thin file a command, and the console, the only room that prints."""
