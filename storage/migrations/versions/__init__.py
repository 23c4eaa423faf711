"""What changed, oldest first, in files named after their revision: `v0001_baseline.py` is the first.

A revision is never changed once it is on main, and imports nothing of ours: it must do tomorrow what it does today.
"""
