"""The chaos suite: an installation at scale is hurt in every way there is, and afterwards its ledger is audited.

`python -m tests.chaos` (`make chaos`) is the whole of it and writes docs/reliability.md; the tests are its short form.
"""
