"""How long a copy still takes is said once its pace is known, and not when it is about to end."""

import pytest

from longshore.blocks import meter
from longshore.blocks.meter import SETTLED, Meter
from longshore.model.copy_progress import figures_of


@pytest.mark.parametrize(("after", "left"), [(SETTLED / 2, None), (SETTLED * 2, 12.0)])
def test_a_pace_of_the_first_moments_is_no_figure(monkeypatch, after, left):
    clock, told = [100.0], []
    monkeypatch.setattr(meter.time, "monotonic", lambda: clock[0])
    copied = Meter(told.append)
    copied.total = 400
    copied.done = copied.read = 100
    clock[0] += after
    copied.tell(now=True)
    assert told[-1].eta == left


@pytest.mark.parametrize(("eta", "left"), [(None, None), (0.0, None), (0.4, None), (1.0, 1.0), (65, 65)])
def test_less_than_a_second_is_not_said(eta, left):
    told = {"done": 1, "total": 2, "verified": 0, "to_verify": 0, "rate": 1.0, "eta": eta}
    assert figures_of("copying", told).left == left
