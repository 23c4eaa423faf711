from prometheus_client.parser import text_string_to_metric_families


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
