"""Forty times a worker dies or sleeps while it backs up into a directory or prunes that: no point is lost."""

import time

import pytest

from vault_among_kills import KILLS, SLEEPS, Place, site_of

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]


def test_no_point_in_a_directory_is_lost_whoever_is_killed_or_sleeps(postgresql, tmp_path, record_property):
    lease, grace = 5, 30
    began = time.monotonic()
    with site_of(tmp_path, postgresql, Place(root=tmp_path / "vault"), grace) as site:
        for _ in range(KILLS):
            site.staff(lease)
            pruning = site.kill_somebody(lease)
            print(f"{time.monotonic() - began:.0f} s: {dict(site.figures)}", flush=True)
        site.wait_for_end([pruning])
        site.check()
        # Who sleeps is to wake up as the one who has it still, for the others: its vault alone has taken it for dead
        site.dismiss()
        grace = 3
        site.place.wait_for(grace)
        for _ in range(SLEEPS):
            site.staff(30)
            site.put_to_sleep(grace)
            print(f"{time.monotonic() - began:.0f} s: {dict(site.figures)}", flush=True)
        site.check()
        site.dismiss()
        site.place.wait_for(1)
        site.leave_nothing()
    record_property("told", f"in a directory, {time.monotonic() - began:.0f} s: {dict(site.figures)}")
