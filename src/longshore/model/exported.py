"""An exported point: a directory with an image of each disk, and a document that describes its machine."""

DESCRIPTION = "machine.json"
FORMAT = "longshore export 1"
