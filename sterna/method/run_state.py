"""The state of a run between two steps: all that decides what the steps to come compute.

Numbers are fields of `RunState`; arrays are its tensors:

| name | what | shape | there |
|---|---|---|---|
| `v` | latent weights | (N,) | in the search |
| `codes` | final codes, int8 | (N,) | in the recovery |
| `log_scale` | ρ | (C,) | always |
| `threshold` | τ | () or (N,) | always |
| `sensitivity` | g_l | (L,) | once it was measured |
| `network/NAME` | dense parameters and buffers, statistics of normalisation among them | their own | always |
| `master/I` | float32 copy of a low-precision parameter | its own | where there is one |
| `adam/I/step`, `/exp_avg`, `/exp_avg_sq` | moments of the I-th trained parameter | (), its own | once it was trained |
| `best/…` | `v`, `log_scale`, `network/…`, `master/…` of the nearest trial | theirs | in a trial |
| `random/torch`, `random/cuda` | generators of torch, which dropout uses; uint8 | theirs | always; on a GPU |
| `random/epoch` | generator of the batches before it drew the order of this epoch, uint8 | its own | always |

The ternarised weights themselves are not among them: what stands for them is v, or scales and codes. Nor are v and its
moments once the codes are final.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Literal

import torch
from torch import Tensor, nn

from sterna.errors import CheckpointRejected
from sterna.method.adam import MOMENTS, Adam
from sterna.trials import Trial

Phase = Literal["search", "recover"]

# A buffer of another type is a constant of the network: nothing that runs in training writes complex numbers.
_STORED = (
    *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
)


@dataclass(frozen=True, slots=True)
class RunState:
    """Where a run stands, between two steps.

    Attributes:
        phase: `search` up to the landing, `recover` after it.
        step: optimiser steps done, those of earlier trials included.
        steps_before: of these, steps of earlier trials.
        searched: steps of the search that led to the landing; 0 before it.
        stopped: the run was asked to finish early.
        micro_batch: samples that a step takes at once since memory did not suffice for a whole batch; None: all.
        drawn: batches drawn of the epoch that `random/epoch` began.
        trials: what was tried, in order.
        trial_alpha: α of the trial under way, None where there is none.
        config: the fields of the run's `TernariseConfig`.
        tensors: see above. As `ternarise` hands them out they are the run's own memory, which the next step
            overwrites: `copied` keeps them.
    """

    phase: Phase
    step: int
    steps_before: int
    searched: int
    stopped: bool
    micro_batch: int | None
    drawn: int
    trials: tuple[Trial, ...]
    trial_alpha: float | None
    config: Mapping[str, object]
    tensors: Mapping[str, Tensor]

    def copied(self) -> RunState:
        """The same state in memory of its own."""
        return replace(self, tensors={name: tensor.detach().clone() for name, tensor in self.tensors.items()})


Checkpoint = Callable[[Callable[[], RunState]], None]
"""Called before a step with a function that gives the state."""


def moving_tensors(network: nn.Module, ternarised: Iterable[str], masters: Iterable[Tensor]) -> dict[str, Tensor]:
    """What training changes in a network besides its ternarised weights, under the names above."""
    taken = set(ternarised)
    named = chain(network.named_parameters(), network.named_buffers())
    own = {f"network/{name}": tensor for name, tensor in named if name not in taken and tensor.dtype in _STORED}
    return own | {f"master/{index}": copy for index, copy in enumerate(masters)}


def moments_of(optimiser: Adam, *, beyond: int = 0) -> dict[str, Tensor]:
    """Adam's state under the names above, without that of the first `beyond` parameters."""
    return {
        f"adam/{index}/{name}": optimiser.state[parameter][name]
        for index, parameter in enumerate(optimiser.parameters)
        if index >= beyond and parameter in optimiser.state
        for name in MOMENTS
    }


def random_states(device: torch.device) -> dict[str, Tensor]:
    """The states of torch's own generators under the names above."""
    states = {"random/torch": torch.get_rng_state()}
    return states | ({"random/cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {})


def set_random_states(random: Mapping[str, Tensor], device: torch.device) -> None:
    """Set torch's own generators; names as above, without `random/`."""
    torch.set_rng_state(random["torch"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(random["cuda"], device)


@dataclass(frozen=True, slots=True)
class CheckedTensors:
    """The tensors of a state, of which each fits its run.

    Attributes:
        moving, best: by the names above, without `best/`.
        moments: Adam's state of each trained parameter, on its device and in memory of its own.
        random: by the names above, without `random/`.
    """

    moving: Mapping[str, Tensor]
    best: Mapping[str, Tensor]
    moments: Mapping[Tensor, Mapping[str, Tensor]]
    threshold: Tensor
    sensitivity: Tensor | None
    codes: Tensor | None
    random: Mapping[str, Tensor]


def check_tensors(
    state: RunState, moving: Mapping[str, Tensor], optimiser: Adam, layers: int, device: torch.device
) -> CheckedTensors:
    """Take the tensors of a state of any origin, each exactly as the run has it.

    Args:
        state: whose.
        moving: the run's own `v`, `log_scale` and `moving_tensors`.
        optimiser: the run's.
        layers: L.
        device: the run's.

    Raises:
        CheckpointRejected: one is missing, of another shape or type, NaN, out of its range, or not the run's.
    """
    reader = _Reader(state)
    landed, v = state.phase == "recover", moving["v"].detach()
    moved = {name: reader.take(name, own) for name, own in moving.items() if not (landed and name == "v")}
    in_trial = state.trial_alpha is not None
    moments = {
        parameter: reader.take_moments(index, parameter)
        for index, parameter in enumerate(optimiser.parameters)
        if not (landed and index == 0)
    }
    level = v if reader.dimensions("threshold") else v.new_zeros(())
    threshold = reader.take("threshold", level, least=0.0).to(device, copy=True)
    sensitivity = codes = None
    if reader.dimensions("sensitivity") is not None:
        sensitivity = reader.take("sensitivity", v.new_zeros(layers), least=0.0).to(device, copy=True)
    if landed:
        codes = reader.take("codes", v.to(torch.int8), least=-1, most=1).to(device, v.dtype)
    checked = CheckedTensors(
        moving=moved,
        best={name: reader.take(f"best/{name}", own) for name, own in moving.items()} if in_trial else {},
        moments={parameter: taken for parameter, taken in moments.items() if taken},
        threshold=threshold,
        sensitivity=sensitivity,
        codes=codes,
        random={name: reader.take_random(name, where) for name, where in _generators(device).items()},
    )
    reader.finish()
    return checked


class _Reader:
    """Takes tensors out of a state, each once, and trusts none: the file that they come from may be anybody's."""

    def __init__(self, state: RunState) -> None:
        self._left = dict(state.tensors)

    def dimensions(self, name: str) -> int | None:
        """How many axes a tensor has; None where there is no such tensor."""
        return self._left[name].ndim if name in self._left else None

    def take(self, name: str, like: Tensor, *, least: float | None = None, most: float | None = None) -> Tensor:
        """A tensor with the shape and type of `like`, finite wherever `like` is, within `least` … `most`."""
        tensor = self._left.pop(name, None)
        if tensor is None:
            raise CheckpointRejected(f"the state has no {name[:80]!r}")
        if tensor.shape != like.shape or tensor.dtype != like.dtype:
            raise CheckpointRejected(
                f"{name[:80]!r} is {tensor.dtype} of shape {tuple(tensor.shape)},"
                f" the run has {like.dtype} of shape {tuple(like.shape)}"
            )
        if tensor.is_floating_point() and bool((~tensor.isfinite() & like.isfinite().to(tensor.device)).any()):
            raise CheckpointRejected(f"{name[:80]!r} holds NaN or infinity")
        if (least is not None and bool((tensor < least).any())) or (most is not None and bool((tensor > most).any())):
            raise CheckpointRejected(f"{name[:80]!r} has values outside of its range")
        return tensor

    def take_moments(self, index: int, parameter: Tensor) -> dict[str, Tensor]:
        """Adam's state of one parameter as Adam keeps it, empty where the parameter has not been trained yet."""
        if self.dimensions(f"adam/{index}/step") is None:
            return {}
        taken = {}
        for name in MOMENTS:
            step = name == "step"
            like = parameter.new_zeros((), dtype=torch.float32) if step else torch.zeros_like(parameter)
            least = None if name == "exp_avg" else 0.0
            taken[name] = like.copy_(self.take(f"adam/{index}/{name}", like, least=least))
        return taken

    def take_random(self, name: str, device: torch.device) -> Tensor:
        """The state of a generator that lives on a device."""
        generator = torch.Generator(device)
        state = self.take(f"random/{name}", generator.get_state()).clone()
        try:
            generator.set_state(state)
        except RuntimeError as error:
            raise CheckpointRejected(
                f"random/{name} is no state of a generator: {str(error).splitlines()[0]}"
            ) from None
        return state

    def finish(self) -> None:
        """Make sure that everything was taken."""
        if self._left:
            raise CheckpointRejected(f"the state has {next(iter(self._left))[:80]!r}, which the run does not")


def _generators(device: torch.device) -> dict[str, torch.device]:
    cpu = {"torch": torch.device("cpu"), "epoch": torch.device("cpu")}
    return cpu | ({"cuda": device} if device.type == "cuda" else {})
