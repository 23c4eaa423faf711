import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy.exc import DBAPIError

from storage import Ledger


def test_many_open_a_new_database_at_once(url):
    barrier = Barrier(8)

    def open_and_beat(i: int) -> None:
        barrier.wait()
        ledger = Ledger.open(url)
        ledger.beat(f"w{i}", capacity=1)
        ledger.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(open_and_beat, range(8)))
    ledger = Ledger.open(url)
    assert ledger.alive_workers(within_s=60) == 8
    ledger.close()


def test_a_failed_block_changes_nothing(ledger):
    def half_done() -> None:
        with ledger.write() as connection:
            connection.exec_driver_sql("INSERT INTO workers (id, capacity, seen_us) VALUES ('w', 1, 9000000000000000)")
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError):
        half_done()
    assert ledger.alive_workers(within_s=60) == 0


def test_sqlite_is_set_up_for_several_processes(tmp_path):
    ledger = Ledger.open(f"sqlite:///{tmp_path}/ledger.db")
    with ledger.read() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 30_000}
    ledger.close()


def test_ping_fails_without_tables(ledger):
    ledger.ping()
    with ledger.write() as connection:
        for table in ("events", "job_labels", "job_blobs", "job_logs", "jobs"):
            connection.exec_driver_sql(f"DROP TABLE {table}")
    with pytest.raises(DBAPIError):
        ledger.ping()


def test_a_new_file_that_another_writes_to_meanwhile_is_waited_for(tmp_path):
    # SQLite refuses to turn a file to WAL while another writes to it, without waiting for its turn.
    file = tmp_path / "ledger.db"
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE others (id)")
    other.execute("BEGIN IMMEDIATE")
    leaves = threading.Timer(0.5, lambda: other.execute("COMMIT"))
    leaves.start()
    ledger = Ledger.open(f"sqlite:///{file}")
    assert ledger.alive_workers(within_s=60) == 0
    leaves.join()
    other.close()
    ledger.close()
