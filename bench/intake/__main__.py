"""Published networks through the reader and the verb: the figures of docs/bench-intake.md.

    python -m bench.intake [--only NAME …]

About ten minutes on two cores, and 200 MB of wheels at the first run. `--only` prints, and leaves docs/ as it is.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.intake.measure import measure
from bench.intake.networks import NETWORKS
from bench.intake.report import page

PAGE = Path("docs/bench-intake.md")


def main() -> None:
    """Run, print the page, and write it where every network was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=[network.name for network in NETWORKS], metavar="NAME")
    options = parser.parse_args()
    rows = []
    for network in NETWORKS:
        if options.only is None or network.name in options.only:
            print(f"{network.name} …", flush=True)
            rows.append(measure(network))
    text = page(rows)
    print(text)
    if options.only is None:
        PAGE.write_text(text)
        print(f"{PAGE} is written.")


if __name__ == "__main__":
    main()
