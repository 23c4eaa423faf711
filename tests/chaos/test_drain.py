from tests.chaos.drain import run_drain


def test_two_workers_empty_a_queue_and_start_no_job_twice(servers, tmp_path):
    drained = run_drain(servers, tmp_path, jobs=100, most_s=300)
    assert drained.errors == ()
    assert (drained.succeeded, drained.starts) == (100, {1: 100})
