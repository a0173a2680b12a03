"""Shapes that go over the wire, for the service that answers and the clients that ask: no routes, no store.

They import the model alone; the service makes them of what it has.
"""
