import json

import pytest
from pydantic import ValidationError

from sterna.errors import GpuUnavailable, SettingUnusable
from workers import slots
from workers.gpu_lease import GpuLease
from workers.gpus import Gpu
from workers.limits import RunnerLimits
from workers.slots import Slot, SlotPool, SlotSettings, open_slots

GPUS = (Gpu(0, "GPU-aa", 0), Gpu(1, "GPU-bb", 1), Gpu(2, "GPU-cc"))


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """Open slots on a machine of eight cores with these GPUs; all are closed afterwards."""
    monkeypatch.setattr(slots, "usable_cores", lambda: 8)
    pools = []

    def start(found=(), environ=None, **wish):
        settings = SlotSettings(gpu_lock_dir=tmp_path, **wish)
        pool = open_slots(settings, found, {} if environ is None else environ)
        pools.append(pool)
        return pool

    yield start
    for pool in pools:
        pool.close()


def uuids(pool):
    return [slot.gpu.uuid for slot in pool.slots]


@pytest.mark.parametrize(("runners", "count", "threads"), [(None, 2, 4), (1, 1, 8), (3, 3, 2), (8, 8, 1), (20, 20, 1)])
def test_cores_are_divided_among_the_runners_of_a_host_without_gpus(opened, runners, count, threads):
    pool = opened(runners=runners)
    assert [(slot.kind, slot.threads) for slot in pool.slots] == [("cpu", threads)] * count


def test_each_gpu_is_a_slot_whatever_the_number_of_runners(opened):
    pool = opened(GPUS, runners=7)
    assert [(slot.name, slot.kind, slot.threads) for slot in pool.slots] == [
        ("gpu-0", "gpu", 2),
        ("gpu-1", "gpu", 2),
        ("gpu-2", "gpu", 2),
    ]
    assert uuids(pool) == ["GPU-aa", "GPU-bb", "GPU-cc"]


@pytest.mark.parametrize(
    ("visible", "chosen"),
    [
        ("2,0", ["GPU-cc", "GPU-aa"]),
        ("GPU-b", ["GPU-bb"]),
        ("1,7,0", ["GPU-bb"]),  # as CUDA reads it: nothing after what does not exist
        ("1,1", ["GPU-bb"]),
    ],
)
def test_auto_takes_what_cuda_would_see(opened, visible, chosen):
    assert uuids(opened(GPUS, {"CUDA_VISIBLE_DEVICES": visible})) == chosen


@pytest.mark.parametrize("visible", ["", "-1", "nonsense"])
def test_gpus_that_are_hidden_from_the_worker_are_not_used(opened, visible):
    assert [slot.kind for slot in opened(GPUS, {"CUDA_VISIBLE_DEVICES": visible}).slots] == ["cpu", "cpu"]


def test_a_list_names_gpus_and_none_means_none(opened):
    assert uuids(opened(GPUS, gpus="0, 2")) == ["GPU-aa", "GPU-cc"]
    assert [slot.kind for slot in opened(GPUS, gpus="none", runners=1).slots] == ["cpu"]


def test_every_part_of_a_gpu_that_is_named_is_a_slot(opened):
    assert uuids(opened((Gpu(0, "MIG-1", 0), Gpu(0, "MIG-2", 0), Gpu(1, "GPU-x", 1)), gpus="0")) == ["MIG-1", "MIG-2"]


def test_a_gpu_that_is_named_and_not_there_is_refused(opened):
    with pytest.raises(GpuUnavailable, match="names GPU 3, 9; found were 3"):
        opened(GPUS, gpus="9,0,3")


@pytest.mark.parametrize("wish", ["", "all", "0,", "-1", "0;1"])
def test_a_list_that_is_none_is_refused(opened, wish):
    with pytest.raises(SettingUnusable, match="allowed are 'auto', 'none' and numbers"):
        opened(GPUS, gpus=wish)


def test_two_processes_never_share_a_gpu(opened, tmp_path):
    other = GpuLease.take("GPU-bb", tmp_path)
    assert uuids(opened(GPUS)) == ["GPU-aa", "GPU-cc"]
    with pytest.raises(GpuUnavailable, match="every GPU that this worker may use is another process's"):
        opened(GPUS)
    other.give_back()
    assert uuids(opened(GPUS)) == ["GPU-bb"]


def test_a_folder_for_locks_that_is_not_there_is_named(tmp_path):
    settings = SlotSettings(gpu_lock_dir=tmp_path / "absent")
    with pytest.raises(SettingUnusable, match=r"STERNA_GPU_LOCK_DIR: .*absent/sterna-GPU-aa\.lock cannot be locked"):
        open_slots(settings, GPUS, {})


def test_no_number_of_runners_below_one(monkeypatch):
    monkeypatch.setenv("STERNA_RUNNERS", "0")
    with pytest.raises(ValidationError, match="runners"):
        SlotSettings()


def test_a_runner_sees_its_own_gpu_or_none():
    gpu = Slot("gpu-0", 2, GPUS[1]).environment({"CUDA_VISIBLE_DEVICES": "0,1,2"})
    assert (gpu["CUDA_VISIBLE_DEVICES"], gpu["OMP_NUM_THREADS"], gpu["MKL_NUM_THREADS"]) == ("GPU-bb", "2", "2")
    assert Slot("cpu-0", 2).environment({"CUDA_VISIBLE_DEVICES": "0"})["CUDA_VISIBLE_DEVICES"] == ""


@pytest.mark.parametrize(("asked", "given"), [("1", "1"), ("64", "4"), ("0", "4"), ("4,2", "4"), ("", "4")])
def test_an_operator_may_ask_for_fewer_threads_than_the_share(asked, given):
    assert Slot("cpu-0", 4).environment({"OMP_NUM_THREADS": asked})["OMP_NUM_THREADS"] == given


def test_of_the_gpus_files_only_its_own_are_a_runners(tmp_path):
    for name in ("nvidia0", "nvidia1", "nvidia10", "nvidiactl", "nvidia-uvm", "sda"):
        (tmp_path / name).touch()

    def names(gpu):
        return [path.name for path in Slot("s", 1, gpu).devices(tmp_path)]

    assert names(None) == []
    assert names(GPUS[1]) == ["nvidiactl", "nvidia-uvm", "nvidia1"]
    assert names(GPUS[2]) == [
        "nvidiactl",
        "nvidia-uvm",
        "nvidia0",
        "nvidia1",
        "nvidia10",
    ]  # which is its own is unknown


def test_slots_are_taken_in_turn_and_never_twice():
    one, two = Slot("one", 1), Slot("two", 1)
    pool = SlotPool([one, two])
    with pool.taken() as first, pool.taken() as second, pool.taken() as third:
        assert (first, second, third) == (one, two, None)
    with pool.taken() as again:
        assert again is two  # given back first
    assert len(pool) == 2


def test_memory_that_nobody_limits_is_divided_too():
    assert RunnerLimits().shared_by(3).memory_bytes == RunnerLimits().memory_bytes // 3
    assert RunnerLimits(memory_bytes=1000).shared_by(3).memory_bytes == 1000


def test_the_runner_of_a_slot_knows_what_the_slot_says(desk, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    message = desk.submit()
    supervisor = desk.supervisor("show_environment", slot=Slot("gpu-0", 3, GPUS[0]))
    assert supervisor.run(desk.claim(message)) == "succeeded"
    told = {body.code: body.text for body in desk.bodies(message.job_id) if body.kind == "message"}
    environment = json.loads(told["ENVIRONMENT"])
    assert (environment["CUDA_VISIBLE_DEVICES"], environment["OMP_NUM_THREADS"]) == ("GPU-aa", "3")
