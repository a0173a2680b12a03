"""Machines in files as a source: OVAs, OVFs and loose disk images, in a directory or behind HTTPS."""
