"""`python -m workers [Celery's options]`: the worker process of this host, with as many threads as it has slots."""

from __future__ import annotations

import sys

from sterna.errors import SetupError


def main() -> None:
    """Work until it is told to end; what is wrong with the environment is said in words, with exit code 8."""
    try:
        from workers.celery_app import app  # noqa: PLC0415  it is made from the environment
    except SetupError as error:
        sys.stderr.write(f"the worker does not start: error[{error.code}]: {error.detail}\nhint: {error.hint}\n")
        sys.exit(error.exit_code)
    app.worker_main(["worker", "--loglevel", "INFO", *sys.argv[1:]])


if __name__ == "__main__":
    main()
