"""The values that all rooms speak of: machines, disks, extents, plans, requests, concerns, and the traits of kinds of
clouds.

Frozen values and pure functions over them. No I/O, no vendor's library, and nothing of another room.
"""
