"""`python -m sterna.cli`: the same as the command `sterna`."""

from sterna.cli import main

main()
