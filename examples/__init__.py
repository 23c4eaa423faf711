"""Small networks on real data, and what to do with them."""

from sterna.threads import calm_threads

calm_threads()  # before any module here loads torch
