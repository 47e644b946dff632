"""The embedded default: a folder on this machine, no account, no server, no network."""
