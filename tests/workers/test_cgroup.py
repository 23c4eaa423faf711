import pytest

from workers.cgroup import memory_kills, memory_limit, own_groups


@pytest.fixture
def groups(tmp_path):
    (tmp_path / "membership").write_text("4:memory:/old\n0::/pod/box\n")
    root = tmp_path / "cgroup"
    (root / "pod" / "box").mkdir(parents=True)
    return own_groups(tmp_path / "membership", root)


def test_the_groups_are_found_from_the_inside_out(groups, tmp_path):
    root = tmp_path / "cgroup"
    assert groups == (root / "pod" / "box", root / "pod", root)


def test_the_smallest_limit_counts(groups):
    assert memory_limit(groups) is None
    (groups[0] / "memory.max").write_text("max\n")
    assert memory_limit(groups) is None
    (groups[1] / "memory.max").write_text("3000000\n")
    (groups[2] / "memory.max").write_text("5000000\n")
    assert memory_limit(groups) == 3_000_000


def test_only_kills_in_the_own_group_count(groups):
    (groups[1] / "memory.events").write_text("low 0\noom_kill 9\n")
    assert memory_kills(groups) is None
    (groups[0] / "memory.events").write_text("low 0\noom 7\noom_kill 2\noom_group_kill 0\n")
    assert memory_kills(groups) == 2


@pytest.mark.parametrize("text", [None, "", "4:memory:/old\n"])
def test_a_machine_without_version_2(tmp_path, text):
    if text is not None:
        (tmp_path / "membership").write_text(text)
    groups = own_groups(tmp_path / "membership", tmp_path)
    assert groups == ()
    assert memory_limit(groups) is None
    assert memory_kills(groups) is None
