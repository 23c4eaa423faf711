"""Measurements that documents quote; each says its command."""

from sterna.threads import calm_threads

calm_threads()  # before any module here loads torch
