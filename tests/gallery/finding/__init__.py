"""Tests of gallery.finding."""
