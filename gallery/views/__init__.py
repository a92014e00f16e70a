"""The views: find, refuse, answer. One module for each thing that a visitor deals with.

library     the entrance, About, search, a random page, what search engines are told
rooms       the reading room, the page of the day, the wall of what was opened
page        a page in its forms: HTML, picture, WebP, postcard, key, tensors, JSON, thumbnail, card
anatomy     what a page is made of, a second print of it, and two pages beside one another
printing    a page while it is printed: events, preview, leave, again
volumes     the sheet of all pages of a volume
shelf       the shelf of a visitor's browser, the slideshow
neighbours  from a prompt to the next volume, from a mark to the next key
walks       the pictures near a page, the corridor between two
keys        full keys: pasted, in a file, inside a picture
shares      for other programs: feed, oEmbed and its frame, manifest, icons
refusals    404, 405 and 500

What they show is made by `gallery.pages`; what they refuse, by `gallery.answers`. The site never waits for the press,
except for the forms of a page that cannot be shown in part (`.png`, `.txt`). Only `gallery.urls` imports them.
"""
