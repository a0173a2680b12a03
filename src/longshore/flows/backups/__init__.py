"""What is done for backups: a machine to a point in a vault, and what keeps the vault in order. Restores are moves."""
