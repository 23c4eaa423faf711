import shutil

from prometheus_client.parser import text_string_to_metric_families

from api_schemas.jobs import JobErrorInfo


def scrape(service) -> dict:
    answer = service.http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            found[sample.name, *sorted(sample.labels.items())] = sample.value
    return found


def test_what_is_told_of_requests_and_jobs(serve):
    with serve() as service:
        service.queued()
        job = service.queued()
        service.claim(job)
        for _ in range(3):
            service.http.get(f"/v1/jobs/{job.id}")
        service.http.get("/nowhere/at/all")
        service.ledger.beat("w1", capacity=4)
        found = scrape(service)
        route = (("method", "GET"), ("route", "/v1/jobs/{job_id}"), ("status", "200"))
        assert found["sterna_http_requests_total", *route] == 3
        unmatched = (("method", "GET"), ("route", "unmatched"), ("status", "404"))
        assert found["sterna_http_requests_total", *unmatched] == 1
        assert found["sterna_http_request_seconds_count", ("route", "/v1/jobs/{job_id}")] == 3
        assert found["sterna_jobs", ("state", "queued")] == found["sterna_jobs", ("state", "running")] == 1
        assert found["sterna_jobs", ("state", "failed")] == 0
        assert found["sterna_workers_alive",] == 1
        assert found["sterna_worker_slots",] == 4
        assert 0 <= found["sterna_last_claim_age_seconds",] < 60
        assert 0 <= found["sterna_queue_oldest_seconds",] < 60
        assert not any(job.id in str(labels) for labels in found)


def test_before_anything_has_happened(serve):
    with serve() as service:
        found = scrape(service)
        assert found["sterna_queue_oldest_seconds",] == 0
        assert ("sterna_last_claim_age_seconds",) not in found


def test_how_jobs_ended_lately_and_why_they_failed(serve):
    with serve() as service:
        ended = {"failed": [], "cancelled": []}
        for code in ("OUT_OF_MEMORY", "TIME_LIMIT", "TIME_LIMIT", "RUNNER_CRASHED"):
            job = service.queued()
            service.ledger.fail(service.claim(job), JobErrorInfo(code=code, message="m"))
            ended["failed"].append(job.id)
        job = service.queued()
        service.http.post(f"/v1/jobs/{job.id}/cancel")
        long_ago = ended["failed"][-1]
        with service.ledger.write() as connection:
            past = f"UPDATE jobs SET finished_us = finished_us - 3700000000 WHERE id = '{long_ago}'"  # noqa: S608
            connection.exec_driver_sql(past)
        found = scrape(service)
        assert found["sterna_jobs", ("state", "failed")] == 4
        lately = {state: found["sterna_jobs_ended_last_hour", ("state", state)] for state in ("failed", "cancelled")}
        assert lately == {"failed": 3, "cancelled": 1}
        assert found["sterna_jobs_ended_last_hour", ("state", "succeeded")] == 0
        failures = {
            labels[0][1]: value for (name, *labels), value in found.items() if name == "sterna_job_failures_last_hour"
        }
        assert failures == {"OUT_OF_MEMORY": 1, "TIME_LIMIT": 2}


def test_which_backends_answer_and_how_much_room_there_is(serve):
    with serve() as service:
        found = scrape(service)
        up = {name: found["sterna_backend_up", ("backend", name)] for name in ("database", "storage", "broker")}
        assert up == {"database": 1, "storage": 1, "broker": 1}
        size, free = found["sterna_data_dir_size_bytes",], found["sterna_data_dir_free_bytes",]
        assert size == shutil.disk_usage(service.folder).total
        assert 0 < free < size
        shutil.rmtree(service.folder / "data" / "blobs")
        found = scrape(service)
        assert (
            found["sterna_backend_up", ("backend", "storage")],
            found["sterna_backend_up", ("backend", "broker")],
        ) == (0, 1)


def test_without_its_ledger_the_service_tells_the_rest(serve):
    with serve() as service:
        with service.ledger.write() as connection:
            for table in ("events", "job_labels", "jobs"):
                connection.exec_driver_sql(f"DROP TABLE {table}")
        found = scrape(service)
        assert found["sterna_backend_up", ("backend", "database")] == 0
        assert ("sterna_data_dir_free_bytes",) in found
        assert ("sterna_workers_alive",) not in found
