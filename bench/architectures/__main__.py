"""Which of transformers' architectures the reader takes, in four ways: the figures of docs/bench-architectures.md.

    python -m bench.architectures [--only TYPE …] [--ways pt2,onnx] [--again VERDICT …] [--compress]

Two hours on one core; nothing is downloaded. What came of a network is kept in `bench/.data`, and the next run goes on
with what is left; `--again` examines once more what came out so. Two runs side by side may share the file, each with
ways of its own. `--compress` takes twelve networks through the whole verb as well. `--only` prints, and leaves docs/ as
it is.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.architectures import pretrained
from bench.architectures.census import Journal, examined, warm_up
from bench.architectures.compression import CHOSEN, compressed
from bench.architectures.report import page
from bench.architectures.ways import WAYS

JOURNAL = Path(__file__).parents[1] / ".data" / "architectures.jsonl"
PAGE = Path("docs/bench-architectures.md")


def main() -> None:
    """Examine what is left, and write the page where every network was examined."""
    options = _options()
    journal = Journal(JOURNAL)
    warm_up()
    for name in options.only or pretrained.types():
        if ways := journal.left(name, options.ways, options.again):
            for row in examined(name, ways, options.seconds):
                journal.add(row)
                print(f"{row.network:28} {row.way:12} {row.verdict:13} {row.detail}", flush=True)
    results = [compressed(name) for name in CHOSEN] if options.compress else []
    for result in results:
        print(result)
    if not options.only:
        PAGE.write_text(page(journal.rows, results))
        print(f"{PAGE} is written.")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="TYPE", help="types of model; otherwise all of them")
    parser.add_argument("--ways", type=lambda text: text.split(","), default=list(WAYS), help=", ".join(WAYS))
    parser.add_argument("--again", nargs="+", metavar="VERDICT", default=(), help="such as refused, or 'not built'")
    parser.add_argument("--seconds", type=float, default=90, help="the longest that one way may take")
    parser.add_argument("--compress", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
