"""Telling people what can't wait: what stands, what of it is new, and the ways by which it is told."""
