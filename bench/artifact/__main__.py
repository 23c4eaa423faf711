"""Everything that is claimed of artifacts, in one run: the figures of docs/bench-artifact.md.

    python -m bench.artifact [--quick] [--weights 10000000]

About ten minutes on two cores. `--quick` leaves the training out, and docs/ as it is.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.artifact.codecs import measure_codecs
from bench.artifact.latency import latencies
from bench.artifact.report import Report, page
from bench.artifact.sizes import large_sizes, trained_sizes
from bench.artifact.small import measure_networks, measure_small

PAGE = Path("docs/bench-artifact.md")


def main() -> None:
    """Run, and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--weights", type=int, default=10_000_000)
    options = parser.parse_args()
    report = Report(
        codecs=measure_codecs(options.weights),
        latencies=latencies(),
        sizes=large_sizes() + ([] if options.quick else trained_sizes()),
        small=measure_small(),
        networks=measure_networks(),
        weights=options.weights,
    )
    text = page(report)
    if options.quick:
        print(text)
    else:
        PAGE.write_text(text)
        print(f"{PAGE} is written.")


if __name__ == "__main__":
    main()
