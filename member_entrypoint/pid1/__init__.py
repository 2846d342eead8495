"""Processes: spawn, signals, reaping, stopping."""
