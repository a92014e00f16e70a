"""Print jobs: who waits for which page, which press prints it, how far it is. Redis only; never torch or Django.

Every Redis key that begins with `babelia:` is described, and changed, in jobs.lua. `client` is the site's side,
`consumer` the press's, `progress` what passes between them. May import worker.catalogue, worker.errors and
worker.store.

The page is the record, not the queue's message: a page that is not kept, not waiting and not under a live claim is put
into the queue again by whoever looks at it next. Losing any message or process costs time, never a page.
"""
