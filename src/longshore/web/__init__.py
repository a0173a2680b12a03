"""The web pages: made by the service's own process, of what its REST API answers and nothing else.

Pages are whole without any script; the one of their own, and htmx, only keep them up to date. Templates name no class
of a style sheet but in `templates/ui/`.
"""
