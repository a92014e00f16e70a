"""The site: addresses, pages, search, API, management commands. Imports `worker` and `babelia.services`, never torch.

urls         every URL of the site; `views` answers them, `api` does so for programs
addresses    an address in a URL: converters, canonical paths, neighbours
answers      from a refusal to HTTP, the decorators of views, and the answers that site and API share
description  the one description of a page: JSON, HTML, events, lists and rows take their fields from it
pages        one page: its status, sentences, events, card, and what its template is given
ledger       the database's side: openings, what is hidden, what was printed last (`snapshot`, `background`, `models`)
editions     which editions are here; `keys`: full keys as visitors bring them; `visits`: who may start a print
management   the commands of manage.py
"""
