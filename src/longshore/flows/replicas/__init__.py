"""What is done for replicas: syncs, points, retention, and machines made of points."""
