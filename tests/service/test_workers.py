def test_workers_and_what_they_do(serve):
    with serve(worker_alive_s=60) as service:
        service.ledger.beat("old", capacity=1)
        with service.ledger.write() as connection:
            connection.exec_driver_sql("UPDATE workers SET seen_us = seen_us - 120000000")
        service.ledger.beat("tester", capacity=3, sandbox="limits")
        service.claim(service.queued())
        newest, old = service.http.get("/v1/workers").json()["workers"]
        assert (newest["id"], newest["capacity"], newest["running"], newest["alive"]) == ("tester", 3, 1, True)
        assert (old["id"], old["running"], old["alive"]) == ("old", 0, False)
        service.ledger.forget_workers(older_than_s=60)
        assert [one["id"] for one in service.http.get("/v1/workers").json()["workers"]] == ["tester"]
