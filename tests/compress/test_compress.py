"""The verb on real networks and data: exact sparsity and accuracy of the packed file, typed refusals."""

import hashlib
import subprocess
import sys
import zipfile

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

import sterna
from api_schemas import CompressSpec
from sterna.artifact import Artifact
from sterna.compress import ARTIFACT_NAME, compress
from sterna.compress.samples import load_samples
from sterna.errors import (
    AcceptanceMissed,
    Cancelled,
    DataMismatch,
    ExportUnsupported,
    InvalidSpec,
    ModelDoesNotRun,
    NonFiniteWeights,
    NothingToTernarise,
    TargetUnreachable,
)
from sterna.export import gguf_file
from sterna.export.onnx_graph import RULES
from sterna.intake import read_checked, read_model
from sterna.module import build_module

SHORT = {"epochs": 2}


def spec(**fields):
    return CompressSpec.model_validate({"target_sparsity": 0.7, "budget": SHORT} | fields)


def exported(module, *inputs, path, **options):
    torch.export.save(torch.export.export(module, inputs, **options), path)
    return path


@pytest.mark.parametrize("target", [0.3, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_the_packed_sparsity_is_within_half_a_thousandth(name, target, request, tmp_path):
    example = request.getfixturevalue(name)
    result = compress(example.model, example.data, spec(target_sparsity=target), tmp_path)
    with Artifact.open(tmp_path / ARTIFACT_NAME) as artifact:
        codes = [artifact.codes(layer.name) for layer in artifact.layers]
    counted = sum(int((c == 0).sum()) for c in codes) / sum(c.size for c in codes)
    assert abs(counted - target) <= 0.0005
    assert result.sparsity == pytest.approx(counted, abs=1e-12)
    assert result.target_met
    assert result.alpha > 0


def test_accuracy_is_that_of_the_file_in_a_fresh_process_without_the_class(mlp, tmp_path):
    result = compress(mlp.model, mlp.data, spec(target_sparsity=0.9, budget={"epochs": 16}), tmp_path)
    script = (
        "import sys, numpy, torch, sterna;"
        "data = numpy.load(sys.argv[2]);"
        "logits = sterna.load(sys.argv[1])(torch.from_numpy(data['eval_pixels']));"
        "print(float((logits.argmax(1).numpy() == data['eval_target']).mean()))"
    )
    command = [sys.executable, "-c", script, str(tmp_path / ARTIFACT_NAME), str(mlp.data)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    assert float(printed) == pytest.approx(result.metric.ternary, abs=1e-9)
    assert result.metric.baseline > 0.98
    assert result.metric.drop < 0.02


class Rows(nn.Module):
    """Gives as many rows as the inputs have elements."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 4)

    def forward(self, x):
        return self.head(x).reshape(-1, 1)


def test_a_network_whose_rows_are_not_the_samples_is_refused(tmp_path):
    model = exported(Rows(), torch.ones(3, 4), path=tmp_path / "rows.pt2", dynamic_shapes=({0: torch.export.Dim("b")},))
    np.savez(tmp_path / "x.npz", x=np.ones((40, 4), np.float32))
    with pytest.raises(ModelDoesNotRun, match="32 rows for 8 samples"):
        compress(model, tmp_path / "x.npz", spec(target_sparsity=0.75), tmp_path / "out")


def test_the_report_adds_up(cnn, tmp_path):
    result = compress(cnn.model, cnn.data, spec(exports=["safetensors"]), tmp_path)
    assert [layer.name for layer in result.layers] == [
        "features.0.weight",
        "features.4.weight",
        "head.1.weight",
        "head.5.weight",
    ]
    assert result.layers[0].scale_shape == (16, 1, 1, 1)
    total = sum(layer.weights for layer in result.layers)
    assert total == 16 * 9 + 32 * 16 * 9 + 128 * 32 * 7 * 7 + 10 * 128
    assert sum(layer.weights * layer.sparsity for layer in result.layers) / total == pytest.approx(result.sparsity)
    with zipfile.ZipFile(cnn.model) as archive:
        examples = [item.file_size for item in archive.infolist() if "sample_inputs" in item.filename]
    assert sum(examples) > 0
    assert result.model_bytes == cnn.model.stat().st_size - sum(examples)
    assert result.ratio == pytest.approx(result.model_bytes / result.artifact_bytes)
    assert result.bits_per_weight < 1.03 * result.entropy_bits_per_weight
    for layer in result.layers:
        shares = layer.histogram.negative + layer.sparsity + layer.histogram.positive
        assert shares == pytest.approx(1)
        assert sum(layer.histogram.before) == sum(layer.histogram.after) == layer.weights
    assert 8 * sum(layer.packed_bytes for layer in result.layers) / total <= result.bits_per_weight
    for reference in result.artifacts:
        content = (tmp_path / reference.name).read_bytes()
        assert (reference.bytes, reference.sha256) == (len(content), hashlib.sha256(content).hexdigest())


def test_each_export_is_measured_in_its_own_runtime(mlp, tmp_path):
    result = compress(mlp.model, mlp.data, spec(exports=["onnx", "gguf", "safetensors", "pt2"]), tmp_path)
    names = ["model.sterna", "model.onnx", "model.gguf", "model.safetensors", "model.pt2"]
    assert [reference.name for reference in result.artifacts] == names
    told = {reference.name: reference.measured for reference in result.artifacts}
    assert told["model.onnx"].runtime == "onnxruntime"
    assert told["model.onnx"].version == onnxruntime.__version__
    assert told["model.gguf"].runtime.startswith("gguf ")
    for name in ("model.sterna", "model.safetensors", "model.pt2"):
        assert (told[name].runtime, told[name].version) == ("torch", torch.__version__)
        assert told[name].value == result.metric.ternary
    data = np.load(mlp.data)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    [logits] = session.run(None, {"pixels": data["eval_pixels"]})
    assert told["model.onnx"].value == pytest.approx(float((logits.argmax(1) == data["eval_target"]).mean()))
    with Artifact.open(tmp_path / ARTIFACT_NAME) as artifact:
        assert artifact.report["metric"] == result.metric.model_dump()


def test_an_export_that_cannot_be_is_refused_before_the_training(tiny, tmp_path, monkeypatch):
    monkeypatch.delitem(RULES, "aten.relu.default")
    with pytest.raises(ExportUnsupported, match=r"aten\.relu\.default"):
        compress(tiny.model, tiny.data, spec(target_sparsity=0.5, exports=["onnx"]), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_fails_at_the_end_is_told_and_left_out(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(gguf_file, "MOST_NAME_BYTES", 2)
    result = compress(tiny.model, tiny.data, spec(target_sparsity=0.5, exports=["gguf", "safetensors"]), tmp_path)
    assert [reference.name for reference in result.artifacts] == ["model.sterna", "model.safetensors"]
    assert "EXPORT_FAILED" in result.warnings
    assert not (tmp_path / "model.gguf").exists()


def test_the_same_seed_gives_the_same_bytes(mlp, tmp_path):
    first, second, other = (
        compress(mlp.model, mlp.data, spec(seed=seed), tmp_path / name).artifacts[0].sha256
        for seed, name in ((5, "a"), (5, "b"), (6, "c"))
    )
    assert first == second
    assert first != other


def test_events_tell_the_phases_in_order_and_progress_between(mlp, tmp_path):
    events = []
    result = compress(mlp.model, mlp.data, spec(), tmp_path, on_event=events.append)
    assert [e.phase for e in events if e.kind == "phase"] == ["validating", "baseline", "search", "recover", "pack"]
    points = [e for e in events if e.kind == "progress"]
    assert points[-1].step == points[-1].steps
    assert points[-1].metric is not None
    assert (points[0].step, points[0].metric) == (0, result.metric.baseline)
    assert [p.step for p in points] == sorted(p.step for p in points)


def test_the_metric_is_told_all_along_the_training(mlp, tmp_path):
    events = []
    result = compress(mlp.model, mlp.data, spec(budget={"epochs": 27}), tmp_path, on_event=events.append)
    told = [(e.step, e.metric) for e in events if e.kind == "progress" and e.metric is not None]
    assert 12 <= len(told) <= 22
    assert [step for step, _ in told] == sorted({step for step, _ in told})
    assert told[-2][1] == pytest.approx(result.metric.ternary, abs=0.05)
    named = {e.metric_name for e in events if e.kind == "progress"}
    assert named == {None, "accuracy"}


def test_without_data_the_sparsity_is_exact_and_the_result_says_what_it_is_not(mlp, tmp_path):
    result = compress(mlp.model, None, spec(target_sparsity=0.5), tmp_path)
    assert result.target_met
    assert "NO_DATA" in result.warnings
    assert result.metric.name == "agreement"


def test_synthesised_inputs_are_familiar_to_a_rebuilt_network(mlp):
    network = read_model(mlp.model)
    data = load_samples(network.graph, None, seed=0)
    noise = next(data.held_out.in_order()).inputs[0]
    data.familiarise(build_module(network), lambda: True)
    matched = next(data.held_out.in_order()).inputs[0]
    weight, bias = (torch.tensor(network.tensors[f"layers.0.{name}"]) for name in ("weight", "bias"))
    mean, variance = (torch.tensor(network.tensors[f"layers.1.running_{name}"]) for name in ("mean", "var"))

    def distance(inputs):
        return float((((inputs @ weight.T + bias).mean(0) - mean) ** 2 / variance).mean())

    assert data.synthetic
    assert matched.shape == noise.shape
    assert distance(matched) < 0.2 * distance(noise)


def test_synthesised_indices_reach_every_row_of_their_table(tmp_path):
    class Tagged(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.kinds = nn.Embedding(50, 8), nn.Embedding(3, 8)
            self.head = nn.Linear(8, 4)

        def forward(self, word, kind, mask):
            return self.head(((self.words(word) + self.kinds(kind)) * mask[..., None]).mean(1))

    inputs = [torch.zeros(2, 5, dtype=torch.int64) for _ in range(3)]
    model = exported(Tagged(), *inputs, path=tmp_path / "tagged.pt2", dynamic_shapes=({0: torch.export.Dim("b")},) * 3)
    batches = list(load_samples(read_model(model).graph, None, seed=0).train.in_order())
    drawn = [torch.cat(column).unique().tolist() for column in zip(*(batch.inputs for batch in batches), strict=True)]
    assert drawn == [[*range(50)], [0, 1, 2], [0, 1]]


def test_without_labels_the_original_teaches(mlp, tmp_path):
    with np.load(mlp.data) as arrays:
        np.savez(tmp_path / "unlabelled.npz", pixels=arrays["pixels"])
    result = compress(mlp.model, tmp_path / "unlabelled.npz", spec(budget={"epochs": 8}), tmp_path / "out")
    assert result.metric.name == "agreement"
    assert result.metric.baseline == 1.0
    assert result.metric.ternary > 0.9


def test_normalisation_over_a_single_value_is_refused(tmp_path):
    network = nn.Sequential(nn.Linear(64, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 10)).eval()
    model = exported(network, torch.randn(1, 64), path=tmp_path / "one.pt2")
    with pytest.raises(ModelDoesNotRun, match="batch normalisation over one value") as refusal:
        compress(model, None, spec(), tmp_path / "out")
    assert "dynamic batch" in refusal.value.hint


def test_a_batch_of_one_is_enough_where_a_channel_has_many_values(tmp_path):
    network = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 10))
    model = exported(network.eval(), torch.randn(1, 1, 8, 8), path=tmp_path / "one.pt2")
    images = np.random.default_rng(0).standard_normal((64, 1, 8, 8), dtype=np.float32)
    np.savez(tmp_path / "d.npz", input=images)
    assert compress(model, tmp_path / "d.npz", spec(budget={"epochs": 1}), tmp_path / "out").target_met


def test_few_samples_are_warned_about(mlp, tmp_path):
    with np.load(mlp.data) as arrays:
        np.savez(tmp_path / "few.npz", pixels=arrays["pixels"][:20], target=arrays["target"][:20])
    assert "FEW_SAMPLES" in compress(mlp.model, tmp_path / "few.npz", spec(), tmp_path / "out").warnings


def test_a_network_of_fixed_batch_size_is_trained_in_batches_of_that_size(tmp_path):
    torch.manual_seed(0)
    model = exported(
        nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 1)), torch.randn(8, 4), path=tmp_path / "m.pt2"
    )
    x = np.random.default_rng(0).standard_normal((101, 4)).astype(np.float32)
    np.savez(tmp_path / "d.npz", input=x, target=x.sum(1, keepdims=True))
    result = compress(model, tmp_path / "d.npz", spec(target_sparsity=0.25), tmp_path / "out")
    assert result.metric.name == "mse"
    assert result.target_met


def test_excluded_layers_stay_dense(mlp, tmp_path):
    result = compress(mlp.model, mlp.data, spec(exclude=["layers.0.*"]), tmp_path)
    assert [layer.name for layer in result.layers] == ["layers.3.weight", "layers.7.weight"]
    with Artifact.open(tmp_path / ARTIFACT_NAME) as artifact:
        assert artifact.dense("layers.0.weight").shape == (128, 64)


def test_cancel_and_stop(mlp, tmp_path):
    with pytest.raises(Cancelled):
        compress(mlp.model, mlp.data, spec(), tmp_path, control=lambda: "cancel")
    result = compress(mlp.model, mlp.data, spec(budget={"epochs": 200}), tmp_path, control=lambda: "stop")
    assert result.target_met
    assert "STOPPED_EARLY" in result.warnings


def test_a_budget_in_seconds_ends_the_search(mlp, tmp_path, monkeypatch):
    # A step measured at a thousandth of what it takes: the plan is far too long, the clock ends it all the same.
    monkeypatch.setattr("sterna.compress.plan._seconds_per_step", lambda *_: 1e-6)
    asked = spec(budget={"seconds": 2, "epochs": 10_000})
    result = compress(mlp.model, mlp.data, asked, tmp_path)
    assert result.target_met
    assert "BUDGET_USED" in result.warnings
    assert result.seconds < 60


def test_an_original_whose_metric_is_infinite_is_refused(tmp_path):
    model = exported(
        nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 1)),
        torch.zeros(2, 4),
        path=tmp_path / "m.pt2",
        dynamic_shapes=({0: torch.export.Dim("batch")},),
    )
    target = np.zeros((100, 1), np.float32)
    target[-1] = 3e38
    inputs = np.ones((100, 4), np.float32)
    np.savez(tmp_path / "d.npz", input=inputs, target=target, eval_input=inputs, eval_target=target)
    with pytest.raises(ModelDoesNotRun, match="held-out data is inf"):
        compress(model, tmp_path / "d.npz", spec(), tmp_path / "out")


def test_a_missed_acceptance_fails_or_warns(mlp, tmp_path):
    strict = {"target_sparsity": 0.99, "budget": {"epochs": 1}}
    with pytest.raises(AcceptanceMissed, match="accuracy went from"):
        compress(mlp.model, mlp.data, spec(**strict, acceptance={"max_drop": 0.0, "on_miss": "fail"}), tmp_path)
    result = compress(mlp.model, mlp.data, spec(**strict, acceptance={"max_drop": 0.0}), tmp_path)
    assert "ACCEPTANCE_MISSED" in result.warnings


def test_a_fixed_alpha_is_kept_and_the_sparsity_reported(mlp, tmp_path):
    search = {"strategy": "fixed", "alpha": 0.5}
    result = compress(mlp.model, mlp.data, spec(target_sparsity=0.05, search=search), tmp_path)
    assert result.alpha == pytest.approx(0.5)
    assert not result.target_met
    assert "TARGET_MISSED" in result.warnings


def test_a_model_without_layers_has_nothing_to_ternarise(tmp_path):
    model = exported(nn.Sequential(nn.ReLU(), nn.Flatten()), torch.randn(2, 4), path=tmp_path / "m.pt2")
    with pytest.raises(NothingToTernarise):
        compress(model, None, spec(), tmp_path)


def test_nan_in_the_weights_is_refused(tmp_path):
    network = nn.Linear(4, 4)
    with torch.no_grad():
        network.weight[1, 2] = float("nan")
    model = exported(network, torch.randn(2, 4), path=tmp_path / "m.pt2")
    with pytest.raises(NonFiniteWeights, match="weight"):
        compress(model, None, spec(), tmp_path)


def test_a_target_finer_than_one_weight_is_unreachable(tmp_path):
    model = exported(nn.Linear(2, 2), torch.randn(2, 2), path=tmp_path / "m.pt2")
    with pytest.raises(TargetUnreachable, match="4 weights"):
        compress(model, None, spec(target_sparsity=0.6), tmp_path)


@pytest.mark.parametrize(
    ("target", "error", "words"),
    [
        (np.full(50, 10), DataMismatch, "the class index 10; allowed are 0 to 9"),
        (np.zeros((50, 2), np.int64), DataMismatch, "classification needs"),
        (np.zeros((50, 3), np.float32), DataMismatch, "regression needs"),
    ],
)
def test_a_target_that_does_not_fit_is_refused(mlp, tmp_path, target, error, words):
    np.savez(tmp_path / "d.npz", pixels=np.zeros((50, 64), np.float32), target=target)
    with pytest.raises(error, match=words):
        compress(mlp.model, tmp_path / "d.npz", spec(), tmp_path)


def test_an_objective_that_needs_a_target_says_so(mlp, tmp_path):
    np.savez(tmp_path / "d.npz", pixels=np.zeros((50, 64), np.float32))
    with pytest.raises(InvalidSpec, match="needs a target"):
        compress(mlp.model, tmp_path / "d.npz", spec(objective="classification"), tmp_path)


def test_one_sample_cannot_be_split(mlp, tmp_path):
    np.savez(tmp_path / "d.npz", pixels=np.zeros((1, 64), np.float32))
    with pytest.raises(DataMismatch, match="at least 2"):
        compress(mlp.model, tmp_path / "d.npz", spec(), tmp_path)


def test_a_network_that_gives_nothing_to_train_on_does_not_run(tmp_path):
    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 40)

        def forward(self, x):
            return self.linear(x).sum()

    model = exported(Sum(), torch.randn(2, 4), path=tmp_path / "m.pt2")
    with pytest.raises(ModelDoesNotRun, match="sample axis"):
        compress(model, None, spec(target_sparsity=0.5), tmp_path)


class LooksUp(nn.Module):
    """Indices are an input beside the one that the table is made of, so nothing but a run tells which are too large."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x, index):
        return self.fc(x).gather(1, index)


class Steps(LooksUp):
    """torch has no derivative of a step."""

    def forward(self, x, index):
        return torch.heaviside(self.fc(x), x) + index


@pytest.mark.parametrize(
    ("make", "largest", "words"),
    [
        (LooksUp, 9, r"in the node aten\.gather.*out of bounds"),
        (Steps, 3, "in the backward pass.*heaviside"),
    ],
)
def test_a_network_that_fails_after_the_first_batch_is_typed(tmp_path, make, largest, words):
    axes = {0: torch.export.Dim("batch")}
    inputs = (torch.randn(3, 4), torch.zeros(3, 4, dtype=torch.int64))
    model = exported(make(), *inputs, path=tmp_path / "m.pt2", dynamic_shapes=(axes, axes))
    index = np.zeros((200, 4), np.int64)
    index[:40] = largest  # samples that are not held out
    held_out = {"eval_x": np.ones((70, 4), np.float32), "eval_index": np.zeros((70, 4), np.int64)}
    np.savez(tmp_path / "data.npz", x=np.ones((200, 4), np.float32), index=index, **held_out)
    with pytest.raises(ModelDoesNotRun, match=words) as refusal:
        compress(model, tmp_path / "data.npz", spec(target_sparsity=0.5), tmp_path / "out")
    assert "all of the data" in refusal.value.hint


def test_load_gives_a_module_in_evaluation_mode(mlp, tmp_path):
    compress(mlp.model, mlp.data, spec(), tmp_path)
    module = sterna.load(tmp_path / ARTIFACT_NAME)
    assert not module.training
    assert isinstance(module, nn.Module)


def test_trials_meet_the_target_too(mlp, tmp_path):
    asked = spec(target_sparsity=0.6, search={"strategy": "trials"}, budget={"epochs": 12}, tolerance=0.02)
    events = []
    result = compress(mlp.model, mlp.data, asked, tmp_path, on_event=events.append)
    assert abs(result.sparsity - 0.6) < 0.0005
    assert result.metric.drop < 0.1
    steps = [e.step for e in events if e.kind == "progress"]
    assert steps == sorted(steps)


def test_one_trial_lands_on_the_target_and_says_what_its_alpha_gave(mlp, tmp_path):
    results = [
        compress(
            mlp.model,
            mlp.data,
            spec(target_sparsity=0.6, search={"strategy": "trials", "alpha": alpha}),
            tmp_path / name,
        )
        for name, alpha in (("low", 0.2), ("high", 1.2))
    ]
    assert all(abs(result.sparsity - 0.6) < 0.0005 and result.target_met for result in results)
    ((low,), (high,)) = (result.trials for result in results)
    assert (low.alpha, high.alpha) == (0.2, 1.2)
    assert low.sparsity < 0.6 < high.sparsity


def test_a_fixed_alpha_gives_the_sparsity_that_it_gives(mlp, tmp_path):
    fixed = [
        compress(
            mlp.model, mlp.data, spec(search={"strategy": "fixed", "alpha": alpha}, tolerance=0.001), tmp_path / name
        )
        for name, alpha in (("low", 0.2), ("high", 1.2))
    ]
    assert fixed[0].sparsity < fixed[1].sparsity
    assert [result.alpha for result in fixed] == pytest.approx([0.2, 1.2], rel=1e-5)
    assert all("TARGET_MISSED" in result.warnings and not result.target_met for result in fixed)


def test_agreement_is_always_there(mlp, tmp_path):
    labelled = compress(mlp.model, mlp.data, spec(budget={"epochs": 8}), tmp_path)
    assert labelled.metric.name == "accuracy"
    original = build_module(read_checked(mlp.model, None).network).eval()
    with np.load(mlp.data) as arrays:
        inputs = torch.from_numpy(arrays["eval_pixels"])
    packed = sterna.load(tmp_path / ARTIFACT_NAME)
    with torch.no_grad():
        same = (packed(inputs).argmax(1) == original(inputs).argmax(1)).float().mean()
    assert labelled.agreement == pytest.approx(float(same), abs=1e-6)


def test_agreement_of_a_regression_is_the_explained_variance(tmp_path):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 2))
    model = exported(network, torch.randn(8, 4), path=tmp_path / "m.pt2")
    x = np.random.default_rng(0).standard_normal((160, 4)).astype(np.float32)
    target = (x[:, :2] * x[:, 2:]).astype(np.float32)
    np.savez(tmp_path / "d.npz", input=x, target=target, eval_input=x[:40], eval_target=target[:40])
    result = compress(model, tmp_path / "d.npz", spec(target_sparsity=0.3125, tolerance=0.01), tmp_path / "o")
    assert result.metric.name == "mse"
    packed = sterna.load(tmp_path / "o" / ARTIFACT_NAME)
    with torch.no_grad():
        wanted = network(torch.from_numpy(x[:40])).double()
        found = torch.cat([packed(part) for part in torch.from_numpy(x[:40]).split(8)]).double()
    residual = (wanted - found).square().sum()
    assert result.agreement == pytest.approx(float(1 - residual / (wanted - wanted.mean()).square().sum()), abs=1e-6)


def test_layers_of_zeros_and_layers_that_lose_everything_are_named(tmp_path):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
    with torch.no_grad():
        network[2].weight.zero_()
    model = exported(network, torch.randn(8, 4), path=tmp_path / "m.pt2")
    x = np.random.default_rng(0).standard_normal((160, 4)).astype(np.float32)
    np.savez(tmp_path / "d.npz", input=x, target=x[:, :2])
    events = []
    asked = spec(target_sparsity=0.998, tolerance=0.01, granularity="layer")
    result = compress(model, tmp_path / "d.npz", asked, tmp_path / "o", on_event=events.append)
    texts = {event.code: event.text for event in events if event.kind == "message"}
    assert {"ZERO_WEIGHTS", "DEAD_LAYER"} <= set(result.warnings)
    assert "2.weight" in texts["ZERO_WEIGHTS"]
    assert "4.weight" in texts["DEAD_LAYER"]


def test_a_layer_too_small_for_the_target_is_named(tmp_path):
    torch.manual_seed(0)
    model = exported(
        nn.Sequential(nn.Linear(4, 100), nn.Tanh(), nn.Linear(100, 1, bias=False)),
        torch.randn(8, 4),
        path=tmp_path / "m.pt2",
    )
    x = np.random.default_rng(0).standard_normal((160, 4)).astype(np.float32)
    np.savez(tmp_path / "d.npz", input=x, target=x[:, :1])
    events = []
    asked = spec(target_sparsity=0.502, tolerance=0.001, granularity="layer")
    compress(model, tmp_path / "d.npz", asked, tmp_path / "o", on_event=events.append)
    (text,) = [event.text for event in events if event.kind == "message" and event.code == "LAYER_OFF_TARGET"]
    assert "2.weight (0.500000)" in text
    assert "0.weight" not in text
