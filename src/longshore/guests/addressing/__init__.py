"""New addresses, written into the files of a guest that doesn't run.

Each form of configuration has a module with two pure functions: `interfaces` tells which interfaces the files
configure, `readdressed` answers the files that change when one of them is given other addresses. `choosing` finds the
form and the interface for an adapter, `writing` writes what has been decided.
"""
