"""Running work of any kind: the queue and its turns, leases and locks, the worker process and the embedded engine,
durable steps, trying again, taking back by the ledger.

What the work is comes from above (`worker.Flows`): nothing in here knows a cloud, a disk or a guest.
"""
