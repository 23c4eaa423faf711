"""The command line `sterna`: compress and look into files here, or talk to a service. See `sterna --help`."""

from sterna.cli.main import main

__all__ = ["main"]
