import pytest

from tests.chaos.full_disk import can_mount, run_full_disk


@pytest.mark.skipif(not can_mount(), reason="only root may mount a small file system to fill")
def test_a_full_blob_store_is_told_waited_for_and_leaves_nothing_half_written(tmp_path):
    seen = run_full_disk(tmp_path, "--script", "3")
    assert seen.refusals == ((503, "SERVICE_UNAVAILABLE"), (503, "SERVICE_UNAVAILABLE"))
    assert (seen.patient, seen.impatient) == ("succeeded", ("failed", "STORAGE_UNAVAILABLE"))
    assert seen.afterwards == "succeeded"
    assert (seen.leftovers, seen.damaged) == ((), ())
