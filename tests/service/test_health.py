import shutil


def test_alive(service):
    answer = service.http.get("/livez")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_ready_needs_a_worker_that_beat_lately(serve, refused):
    with serve() as service:
        answer = service.http.get("/readyz")
        body = refused(answer, 503, "SERVICE_UNAVAILABLE")
        assert body["checks"] == {"database": "ok", "storage": "ok", "broker": "ok", "workers": "no worker is alive"}
        assert int(answer.headers["retry-after"]) > 0

        service.ledger.beat("w", capacity=1)
        answer = service.http.get("/readyz")
        assert answer.status_code == 200
        assert set(answer.json()["checks"].values()) == {"ok"}

        with service.ledger.write() as connection:
            connection.exec_driver_sql("UPDATE workers SET seen_us = seen_us - 61000000")
        assert service.http.get("/readyz").status_code == 503


def test_each_part_that_does_not_answer_is_named(serve, refused):
    with serve() as service:
        service.ledger.beat("w", capacity=1)
        data = service.folder / "data"
        shutil.rmtree(data / "blobs")
        shutil.rmtree(data / "queue")
        body = refused(service.http.get("/readyz"), 503, "SERVICE_UNAVAILABLE")
        assert body["checks"] == {
            "database": "ok",
            "storage": "does not answer",
            "broker": "does not answer",
            "workers": "ok",
        }
        with service.ledger.write() as connection:
            connection.exec_driver_sql("DROP TABLE workers")
        checks = service.http.get("/readyz").json()["checks"]
        assert checks["workers"] == "does not answer"


def test_a_broker_that_is_down_is_named(serve):
    with serve(broker_url="redis://127.0.0.1:1/0") as service:
        answer = service.http.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["checks"]["broker"] == "does not answer"
        assert "127.0.0.1" not in answer.text


def test_a_database_that_is_gone_is_unavailable_not_a_fault(serve, refused):
    with serve() as service:
        with service.ledger.write() as connection:
            for table in ("events", "job_labels", "jobs"):
                connection.exec_driver_sql(f"DROP TABLE {table}")
        refused(service.http.get("/v1/jobs"), 503, "SERVICE_UNAVAILABLE")
        assert service.http.get("/readyz").json()["checks"]["database"] == "does not answer"
