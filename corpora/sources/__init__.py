"""Readers: a dump, a table, a folder or installed packages -> raw posts."""
