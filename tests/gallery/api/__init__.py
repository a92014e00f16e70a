"""The tests of gallery.api: most ask a real site over HTTP."""
