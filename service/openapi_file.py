"""`python -m service.openapi_file FILE`: writes the contract down as the code has it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from service.app import create_app
from storage import Settings


def main(path: Path) -> None:
    """Writes the document, its keys in the order that the code gives them."""
    document = create_app(Settings()).openapi()
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
