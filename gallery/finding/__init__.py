"""Find my picture: from a picture that somebody brings to a page of this library, by its copies or by a search.

intake      what is brought: fitted, looked for among the kept pages, put ready to be searched for
searches    where a search stands, what it found, and what is said of both; no HTTP
stream      its server-sent events
views       what answers its URLs

Imports what `gallery.views` may, and of `worker.finding` what knows no torch. The search itself is the press's
(worker.searches); what is brought stays in Redis for as long as it lasts, and goes.
"""
