"""The short form of the storm: a script in place of the runner, every disturbance once but the longest."""

from __future__ import annotations

from random import Random

from tests.chaos.installation import Installation
from tests.chaos.storm import DISTURBANCES, schedule
from tests.chaos.storm_run import run_storm

SEED = 1
# They take half a minute each, or are much like others; `make chaos` has them.
LEFT_OUT = frozenset({"kill s3", "stop postgres", "kill host", "freeze host"})


def test_a_storm_loses_and_doubles_nothing(servers, tmp_path):
    strikes = [name for name in schedule(Random(f"schedule {SEED}"), len(DISTURBANCES)) if name not in LEFT_OUT]
    with Installation(servers, workers=2, options=("--script", "1")) as installation:
        outcome = run_storm(
            installation, tmp_path, seed=SEED, jobs=16, strikes=strikes, least=len(strikes), pause_s=(0, 0.5)
        )
    assert not outcome.violations, "\n".join(outcome.violations)
    assert outcome.accepted >= 16
    assert set(outcome.disturbances) == set(strikes)


def test_the_schedule_is_the_seeds():
    first, again, other = (schedule(Random(seed), 30) for seed in (1, 1, 2))
    assert first == again != other
    assert set(first[: len(DISTURBANCES)]) == set(DISTURBANCES)
