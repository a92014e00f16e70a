"""The JSON API: the site's own functions for programs, without pages around them. Imports what `gallery.views` may.

routes       the API as a whole: every operation, who may send what, and where it is described
pages        one page: asked for, followed, fetched; `keys`: a full key that is brought
finding      a picture that is brought: copies of it, a search for its page
library      what is here: editions, a page by chance, pages printed last; `opened`: all that was opened, and search
volumes      the places of a volume, and which of them are kept; `walks`: what lies near a page, and between two
openapi      what the OpenAPI document says of answers; `refusals`: errors in their one shape
guide        the API's own page, with examples
"""
