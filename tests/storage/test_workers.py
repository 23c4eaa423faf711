def test_workers_that_beat_lately_are_alive(ledger):
    assert ledger.alive_workers(within_s=60) == 0
    ledger.beat("a", capacity=1)
    ledger.beat("b", capacity=2)
    ledger.beat("a", capacity=3)
    assert ledger.alive_workers(within_s=60) == 2
    with ledger.write() as connection:
        connection.exec_driver_sql("UPDATE workers SET seen_us = seen_us - 61000000 WHERE id = 'a'")
    assert ledger.alive_workers(within_s=60) == 1
    ledger.beat("a", capacity=3)
    assert ledger.alive_workers(within_s=60) == 2
