"""Tests of gallery.views."""
