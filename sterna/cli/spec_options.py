"""The fields of a spec as flags, written once for `sterna compress`, `submit`, `estimate` and `sweep submit`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from functools import wraps
from typing import Annotated, Any, Final, Literal, get_type_hints

import typer
from pydantic import ValidationError

from api_schemas import CompressSpec
from sterna.errors import InvalidSpec

_PANEL: Final = "What is asked for"


def _flag(*names: str, text: str, metavar: str | None = None) -> Any:  # noqa: ANN401  typer's own type is not public
    return typer.Option(*names, help=text, metavar=metavar, rich_help_panel=_PANEL, show_default=True)


@dataclass(frozen=True, slots=True)
class SpecFlags:
    """One flag for each field of a spec, with the spec's own defaults; limits are checked by the spec."""

    sparsity: Annotated[float, _flag("--sparsity", "-s", text="Share of zeros, between 0 and 1.", metavar="SHARE")]
    tolerance: Annotated[float, _flag("--tolerance", text="How far the share of zeros may be off.")] = 0.0005
    granularity: Annotated[
        Literal["global", "layer"],
        _flag("--granularity", text="Over what the share is reached: the network, each layer."),
    ] = "global"
    exclude: Annotated[
        list[str],
        _flag("--exclude", text="Glob of tensors or modules to leave as they are. Repeatable.", metavar="GLOB"),
    ] = field(default_factory=list)
    objective: Annotated[
        Literal["auto", "classification", "regression", "distillation"],
        _flag("--objective", text="What the training minimises."),
    ] = "auto"
    method: Annotated[
        Literal["sca", "ste"], _flag("--method", text="Regularised (SCA) or plainly straight-through (STE).")
    ] = "sca"
    strategy: Annotated[
        Literal["track", "trials", "fixed"],
        _flag("--strategy", text="How α is found: in one run, by trials, as given."),
    ] = "track"
    alpha: Annotated[
        float | None, _flag("--alpha", text="α itself: needed by --strategy fixed, one trial with --strategy trials.")
    ] = None
    epochs: Annotated[float | None, _flag("--epochs", text="How many passes over the data at most.")] = None
    seconds: Annotated[float | None, _flag("--seconds", text="How long to train at most.")] = None
    max_drop: Annotated[
        float | None, _flag("--max-drop", text="How much the metric may lose, in its own unit (accuracy: 0 to 1).")
    ] = None
    on_miss: Annotated[
        Literal["fail", "best_effort"], _flag("--on-miss", text="What to do when it loses more than --max-drop.")
    ] = "best_effort"
    export: Annotated[
        list[str],
        _flag(
            "--export", text="A further format to write: onnx, gguf, safetensors, pt2. Repeatable.", metavar="FORMAT"
        ),
    ] = field(default_factory=list)
    seed: Annotated[int, _flag("--seed", text="Same seed, files and machine: same result.")] = 0

    def spec(self) -> CompressSpec:
        """The spec.

        Raises:
            InvalidSpec: a value is outside what is allowed; all such are named.
        """
        try:
            return CompressSpec.model_validate(self._nested())
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, found['loc'])) or 'spec'}: {found['msg'].removeprefix('Value error, ')}, "
                f"found {found['input']!r}"
                for found in error.errors(include_url=False)
            )
            raise InvalidSpec(problems, hint="`--help` of the same command lists the flags.") from None

    def _nested(self) -> dict[str, object]:
        return {
            "target_sparsity": self.sparsity,
            "tolerance": self.tolerance,
            "granularity": self.granularity,
            "exclude": tuple(self.exclude),
            "objective": self.objective,
            "method": self.method,
            "search": {"strategy": self.strategy, "alpha": self.alpha},
            "budget": {"epochs": self.epochs, "seconds": self.seconds},
            "acceptance": {"max_drop": self.max_drop, "on_miss": self.on_miss},
            "exports": tuple(self.export),
            "seed": self.seed,
        }


def takes_spec_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the flags of a spec: typer sees one parameter each, the command one `flags: SpecFlags`.

    A command may have a `sparsity` of its own, a list: its first stands in the flags, to check the others with.
    """
    several = "sparsity" in inspect.signature(command).parameters
    names = [flag.name for flag in fields(SpecFlags) if not (several and flag.name == "sparsity")]

    @wraps(command)
    def with_flags(**given: Any) -> None:  # noqa: ANN401  what typer parsed
        one = {"sparsity": given["sparsity"][0]} if several else {}
        flags = SpecFlags(**one, **{name: given.pop(name) for name in names})
        command(flags=flags, **given)

    hints = get_type_hints(command, include_extras=True)
    own = [
        parameter.replace(annotation=hints[parameter.name], kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in inspect.signature(command).parameters.values()
        if parameter.name != "flags"
    ]
    parameters = own + [flag for flag in _flag_parameters() if flag.name in names]
    # What typer looks at; it would otherwise follow the wrapped function back to `flags`.
    del with_flags.__dict__["__wrapped__"]
    with_flags.__dict__["__signature__"] = inspect.Signature(parameters)
    with_flags.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_flags


def _flag_parameters() -> list[inspect.Parameter]:
    hints = get_type_hints(SpecFlags, include_extras=True)
    return [
        inspect.Parameter(
            flag.name, inspect.Parameter.KEYWORD_ONLY, default=_default(flag), annotation=hints[flag.name]
        )
        for flag in fields(SpecFlags)
    ]


def _default(flag: Any) -> Any:  # noqa: ANN401  a field of the dataclass
    if flag.default_factory is not MISSING:
        return flag.default_factory()
    return inspect.Parameter.empty if flag.default is MISSING else flag.default
