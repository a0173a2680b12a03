"""The version of the workflows' order of steps: a worker resumes only jobs that were begun under its own."""

FLOW_VERSION = "17"  # raised when the order of a workflow's steps changes
