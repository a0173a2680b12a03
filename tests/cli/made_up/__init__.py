"""A kind of provider that is made up: what a new one brings, and nothing else."""
