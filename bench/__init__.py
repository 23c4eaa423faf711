"""Measurements that documents quote; each says its command."""
