"""Guests on NBD URIs: what is on them, and how they are made ready for new hardware.

What a guest holds is a stranger's, so it is worked on in confined processes. Nothing in here knows a cloud or a plan.
A process that finds files in a point lives for a tenth of a second: what it doesn't need it doesn't import.
"""
