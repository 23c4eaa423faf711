"""The exports of one job: written, then measured each in its own runtime on the held-out samples."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from api_schemas import ArtifactRef, Measured
from sterna.compress.report import file_reference
from sterna.errors import ExportUnsupported
from sterna.export import EXPORTS
from sterna.export.runtimes import RuntimeNetwork, open_export
from sterna.method import Objective, Samples, evaluate


@dataclass(frozen=True, slots=True)
class Exporter:
    """What exports are made from and measured by.

    Attributes:
        held_out: what every metric of the job is measured on.
        original: the network before, in evaluation mode; where the objective imitates it.
    """

    artifact_path: Path
    held_out: Samples
    objective: Objective
    original: nn.Module

    def export(self, name: str, folder: Path) -> ArtifactRef:
        """Write one export into `folder` and measure it; nothing is left of one that fails.

        Raises:
            ExportUnsupported, ModelTooLarge: the format or its runtime cannot hold this network.
        """
        export = EXPORTS[name]
        path = folder / export.file_name
        export.write(self.artifact_path, path)
        try:
            network = open_export(name, path, self.artifact_path)
            value = self._metric_of(network)
        except ExportUnsupported:
            path.unlink()
            raise
        return file_reference(path, export.media_type, self._told(network, value))

    def _metric_of(self, network: RuntimeNetwork) -> float:
        value = evaluate(network, self.held_out, self.objective, teacher=self.original)
        if not math.isfinite(value):
            raise ExportUnsupported(f"its {self.objective.metric} in {network.runtime} is {value}")
        return value

    def _told(self, network: RuntimeNetwork, value: float) -> Measured:
        return Measured(name=self.objective.metric, value=value, runtime=network.runtime, version=network.version)
