"""What the keeper of a library does: hiding pages and showing them again, what visitors report, the desk with both.

Owns the reports, the code behind `manage.py hide`, and Django's admin under KEEPER_PATH. Imports Django, `worker`,
`babelia.services`, and of `gallery` the ledger, models, bounds, addresses and answers; never `gallery.views`.
"""
