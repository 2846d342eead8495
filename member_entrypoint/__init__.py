"""PID 1 of the MongooseIM member image."""

VERSION = "0.2.0"
"""The version of this distribution: both programs and `pyproject.toml` take it from here."""
