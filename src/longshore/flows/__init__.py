"""The workflows of each kind of job, a folder for each subject: moves/ for machines and volumes, replicas/ for points
and machines made of them, backups/ for points in vaults, plans/ for what is examined before many machines move. Here,
what they share: clouds and what is kept back of them, relays, undoing, reports.

Order, retries and clean-up, no more: bytes move in blocks, clouds are asked through providers/contract, guests are
changed in guests, and how work is queued and survives is the engine's.
"""
