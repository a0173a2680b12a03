"""Backups: a machine's copy to a point in a vault, and what keeps the vault in order. Restores are moves."""
