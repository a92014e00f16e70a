"""Tests of gallery.pages."""
