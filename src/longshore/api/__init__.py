"""What goes over the wire, for the service that answers and the clients that ask: shapes alone, no routes, no store.

It imports the model alone. What a shape is made of stands in the service.
"""
