"""The number of blocks in flight follows what the endpoints are like."""

from longshore.blocks.window import FAR, MEMORY, NEAR, PACED, Window

from .conftest import MIB


def settled(latency, bandwidth, block_size=MIB):
    """Blocks in flight to a side that answers after `latency` seconds and moves `bandwidth` blocks a second."""
    window = Window(block_size)
    window.took(latency + 1 / bandwidth)
    for _ in range(2000):
        window.took(max(latency + 1 / bandwidth, window.size / bandwidth))
    return window.size


def test_few_are_in_flight_where_everything_is_near():
    assert settled(latency=0.0001, bandwidth=2000) == NEAR


def test_as_many_are_in_flight_as_the_way_is_long():
    for latency, bandwidth in ((0.005, 2000), (0.01, 2000), (0.02, 1000)):
        assert latency * bandwidth <= settled(latency, bandwidth)


def test_memory_is_limited_however_long_the_way_is():
    for block_size in (MIB, 4 * MIB, 16 * MIB):
        assert settled(latency=1.0, bandwidth=2000, block_size=block_size) == MEMORY // block_size


def test_a_slow_side_far_away_gets_no_more_than_it_can_use():
    assert settled(latency=0.004, bandwidth=100) == FAR


def test_storage_that_takes_a_few_at_once_and_the_rest_slowly_gets_several_at_a_time():
    window = Window(MIB)
    window.took(0.0006)
    for _ in range(2000):
        window.took(window.size / 200)
    assert window.size == PACED


def test_once_the_storage_is_quick_again_few_are_in_flight():
    window = Window(MIB)
    window.took(0.0006)
    for bandwidth in (200, 2000):
        for _ in range(2000):
            window.took(max(0.0006, window.size / bandwidth))
    assert window.size == NEAR


def test_beside_a_side_that_computes_few_are_enough_until_the_way_is_long():
    for seconds, least in ((0.01, PACED), (0.2, 64)):
        window = Window(MIB, computes=True)
        for _ in range(100):
            window.took(seconds)
        assert window.size >= least
    queueing = Window(MIB, computes=True)
    queueing.took(0.06)
    for _ in range(100):
        queueing.took(1.0)
    assert queueing.size == PACED


def test_a_near_side_that_a_neighbour_delays_is_found_near_by_its_sixth_block():
    window = Window(MIB)
    for _ in range(5):
        window.took(0.012)
        assert window.size == 1, "many in flight would never show how near it is"
    window.took(0.002)
    assert window.near
    assert window.size < FAR
