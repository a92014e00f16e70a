"""One page as the site knows it: its status, its sentences, its events, its card, what its template is given.

Owns everything between an address and what is said of its page. Imports `worker`, `babelia.services` and the modules
beside it in `gallery`, but never `gallery.views`, `gallery.api` or `gallery.answers`. Nothing here renders a template.
"""
