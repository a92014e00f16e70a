"""Migrations of the gallery's one table."""
