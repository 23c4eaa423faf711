import time
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.dialects import postgresql

from storage.clock import as_datetime, microseconds, now_us


def test_the_database_knows_the_time(ledger):
    with ledger.read() as connection:
        found_us = connection.execute(select(now_us())).scalar_one()
    assert abs(found_us / 1e6 - time.time()) < 5


def test_the_clock_moves_within_a_transaction(ledger):
    with ledger.read() as connection:
        first = connection.execute(select(now_us())).scalar_one()
        time.sleep(0.01)
        assert connection.execute(select(now_us())).scalar_one() > first


def test_postgresql_reads_its_own_clock():
    text = str(select(now_us()).compile(dialect=postgresql.dialect()))
    assert "clock_timestamp()" in text


def test_units():
    assert microseconds(1.5) == 1_500_000
    assert as_datetime(1_700_000_000_000_001) == datetime(2023, 11, 14, 22, 13, 20, 1, tzinfo=UTC)
