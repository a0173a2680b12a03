"""Of the order of steps of all workflows: what was begun in another one isn't gone on with here."""

FLOW_VERSION = "14"  # raised when the order of a workflow's steps changes
