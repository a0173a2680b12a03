"""Processes of our own and of others: children that die with their parent, a deadline that all of them look at in
shared memory, directories that go with whoever made them, files that are there in full or not at all, and the launcher
of all that looks at strangers' bytes.

Nothing in here knows what its children do: no disks, no guests, no clouds, no database. It imports errors alone.
"""
