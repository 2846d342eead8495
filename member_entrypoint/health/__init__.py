"""Alive? Ready? The answers that probes get."""
