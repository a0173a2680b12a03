"""A ledger in memory, of what a provider holds at a cloud."""


class Written:
    """A ledger, which outlives the processes that write to it."""

    def __init__(self):
        self.states, self.notes, self.said = {}, {}, []

    def intend(self, owner, note=""):
        self.states[owner], self.notes[owner] = "intended", note

    def made(self, owner, note):
        self.states[owner], self.notes[owner] = "made", note

    def gone(self, owner):
        self.states[owner] = "gone"

    def left(self, owner, _why):
        self.states[owner] = "left"

    def unsettled(self):
        return [owner for owner, state in self.states.items() if state != "gone"]

    def note_of(self, owner):
        return self.notes[owner]

    def say(self, _owner, text, _level):
        self.said.append(text)
