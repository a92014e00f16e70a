"""Tests of gallery.pages.drawings."""
