from tests.chaos.drain import Drained
from tests.chaos.failover import Failover
from tests.chaos.full_disk import FullDisk
from tests.chaos.page import Figures, page
from tests.chaos.storm import DISTURBANCES
from tests.chaos.storm_run import Outcome

STORM = Outcome(
    seed=3,
    violations=[],
    accepted=8,
    undisturbed=1,
    outcomes={"succeeded": 8, "cancelled": 1},
    attempts={2: 3, 1: 6},
    granted={"cancel": 1},
    disturbances={"kill worker": 7},
    took_over_s=[2.0, 4.0],
    repeated={},
    unanswered=0,
    removed=0,
    found_dead={},
    seconds=60.0,
)


def test_the_page_has_every_figure():
    failovers = [Failover(2.0, 500, 400, 1.5, same=True), Failover(4.0, 300, 300, 0.5, same=False)]
    full = FullDisk(((503, "CODE"),), "succeeded", ("failed", "CODE"), "succeeded", (), ("damaged",))
    text = page(Figures("command", STORM, failovers, Drained(200, 199, {1: 198, 2: 2}, 10.0), full))
    for name in DISTURBANCES:
        assert f"| {name} | " in text
    assert "| kill worker | Signal 9 to a worker; its runner notices by itself. Another starts at once. | 7 |" in text
    assert "| how these ended | 1 × cancelled, 8 × succeeded |" in text
    assert "| 1: 6 jobs, 2: 3 jobs |" in text
    assert "median 3.0 s, most 4.0 s" in text
    assert "median 1.0 s, most 1.5 s" in text
    assert "| median 50, most 100 |" in text
    assert "| 1 of 2 | all |" in text
    assert "| 198 of 200 |" in text
    assert "10.0 s, 20 jobs/s" in text
    assert "| 0; 1 |" in text


def test_what_must_not_be_stands_on_the_page():
    storm = Outcome(**{name: getattr(STORM, name) for name in Outcome.__dataclass_fields__} | {"violations": ["lost"]})
    text = page(Figures("command", storm, [], None, None))
    assert "| **1**: lost |" in text
    assert "## A long queue" not in text
