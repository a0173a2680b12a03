"""Replicas: syncs, points, retention, and machines made of points."""
