"""A process that answers others for months isn't one that is soon done."""

import subprocess
import sys

LOOK = """
import gc, sys
from longshore.processes.memory import live_long, seldom_look_for_cycles
seldom_look_for_cycles()
live_long()
class Circle:
    alive = 0
    def __init__(self):
        Circle.alive, self.me = Circle.alive + 1, self
    def __del__(self):
        Circle.alive -= 1
most = 0
for _ in range(100_000):
    Circle()
    most = max(most, Circle.alive)
print(most, gc.get_freeze_count() > 1000, sys.getswitchinterval())
"""


def test_what_refers_to_itself_goes_soon_though_a_command_would_leave_it():
    ended = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, check=True, timeout=120)
    most, frozen, turn = ended.stdout.split()
    assert int(most) < 2000
    assert frozen == "True"
    assert float(turn) <= 0.001
