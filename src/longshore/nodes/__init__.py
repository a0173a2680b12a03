"""Three machines that serve together, of which any one may die: the files that each of them needs.

What lives here: what is asked of whoever has the machines, certificates and passwords made up for them, and the files,
whose templates lie in `files/`; and how the machine that asks stands among them. Nothing here reaches another machine.
docs/howto/three-nodes.md says what to do.
"""
