from api_schemas import LayerReport, Result, WeightHistogram

SHARES = WeightHistogram(low=-1, high=1, before=(1, 2, 1), after=(1, 2, 1), negative=0.25, positive=0.25)


def test_a_histogram_is_told_of_one_job_and_left_out_of_lists(service):
    job = service.queued(labels={"histogram": "here"})
    layer = LayerReport(
        name="w", shape=(4,), weights=4, sparsity=0.5, scale_shape=(1,), packed_bytes=1, histogram=SHARES
    )
    figures = {"target_sparsity": 0.5, "sparsity": 0.5, "alpha": 0.1, "target_met": True, "metric": None}
    sizes = {"bits_per_weight": 2, "entropy_bits_per_weight": 1.5, "model_bytes": 100, "artifact_bytes": 10}
    result = Result(**figures, **sizes, ratio=10, steps=4, seconds=1, layers=(layer,))
    assert service.ledger.succeed(service.claim(job), result)

    told = service.http.get(f"/v1/jobs/{job.id}").json()["result"]["layers"][0]
    assert told["histogram"] == SHARES.model_dump(mode="json")
    (listed,) = service.http.get("/v1/jobs", params={"label": "histogram=here"}).json()["jobs"]
    assert listed["result"]["layers"][0] == told | {"histogram": None}
