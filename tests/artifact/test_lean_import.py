"""Reading an artifact needs numpy and Python, nothing else."""

import subprocess
import sys

PROGRAM = """
import sys
import numpy
before = set(sys.modules)
import sterna.artifact
added = {name.partition(".")[0] for name in set(sys.modules) - before}
foreign = added - set(sys.stdlib_module_names) - {"sterna", "numpy"}
assert "torch" not in sys.modules
print(sorted(name for name in foreign if not name.startswith("_")))
parts = {name for name in sys.modules if name.startswith("sterna.")}
print(sorted({".".join(name.split(".")[:2]) for name in parts}))
"""


def test_only_numpy_and_the_standard_library_are_imported():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "['sterna.artifact', 'sterna.errors', 'sterna.graph']"]
