"""Workers die while they back up into a bucket or prune that: no point is lost."""

import time

import pytest
from buckets import gateway

from longshore.vault.bucket import Bucket
from vault_among_kills import KILLS_OF_A_BUCKET, Place, site_of

pytestmark = [pytest.mark.lab, pytest.mark.soak, pytest.mark.timeout(3600)]


def test_no_point_in_a_bucket_is_lost_whoever_is_killed(the_lab, postgresql, tmp_path, tell, monkeypatch):
    lease, began = 5, time.monotonic()
    with gateway(the_lab) as bucket, site_of(tmp_path, postgresql, Place(bucket=bucket), 3600) as site:
        for _ in range(KILLS_OF_A_BUCKET):
            site.staff(lease)
            site.kill_somebody(lease)
        site.check()
        site.dismiss()
        # A day has passed, and more: so have the minutes in which lists come late, and the lease of who was killed
        monkeypatch.setattr(Bucket, "lists_late", 0.0)
        site.place.wait_for(1)
        site.place.store.delete("prune.json")
        site.leave_nothing()
        tell(f"in a bucket, {time.monotonic() - began:.0f} s: {dict(site.figures)}")
