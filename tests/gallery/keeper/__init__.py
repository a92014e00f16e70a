"""Tests of gallery.keeper."""
