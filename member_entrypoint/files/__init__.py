"""Whose a file is, and how it is written."""
