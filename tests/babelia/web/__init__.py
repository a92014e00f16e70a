"""Mirrors babelia.web."""
