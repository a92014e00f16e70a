"""The views: find, refuse, answer. One module for each thing that a visitor deals with.

library     the entrance, About, search, a random page, robots.txt
page        a page in its forms: HTML, picture, key, JSON, thumbnail, card
printing    a page while it is printed: events, preview, leave, again
volumes     the sheet of all pages of a volume
shelf       the shelf of a visitor's browser, the slideshow
neighbours  from a prompt to the next volume, from a mark to the next key
keys        full keys: pasted, in a file, inside a picture
refusals    404, 405 and 500

What they show is made by `gallery.pages`; what they refuse, by `gallery.answers`. The site never waits for the press,
except for the forms of a page that cannot be shown in part (`.png`, `.txt`). Only `gallery.urls` imports them.
"""
