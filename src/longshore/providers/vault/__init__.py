"""Vaults: where backups go, and a source whose machines are the points in it."""
