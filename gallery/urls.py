"""Every URL of the site, in the order in which a visitor meets the pages."""

from django.urls import path, register_converter

from gallery.addresses import AddressConverter, EditionConverter, RoomConverter, VolumeConverter
from gallery.finding import views as finding
from gallery.holds import views as holds
from gallery.views import (
    anatomy,
    keys,
    library,
    neighbours,
    page,
    printing,
    reports,
    rooms,
    shares,
    shelf,
    subjects,
    volumes,
    walks,
)

register_converter(AddressConverter, "address")
register_converter(EditionConverter, "edition")
register_converter(RoomConverter, "room")
register_converter(VolumeConverter, "volume")

urlpatterns = [
    path("", library.entrance, name="entrance"),
    path("card.png", library.entrance_picture, name="entrance-card"),
    path("search/", library.search, name="search"),
    path("random/", library.random, name="random"),
    path("<edition:edition>/random/", library.random, name="random-of-edition"),
    # what was opened here
    path("<edition:edition>/today/", rooms.today, name="today"),
    path("<edition:edition>/opened/", rooms.opened, name="opened"),
    # what it can draw
    path("<edition:edition>/subjects/", subjects.show, name="subjects"),
    path("<edition:edition>/subjects/<slug:file>.webp", subjects.picture, name="subject-picture"),
    path("search/words.json", subjects.completions, name="completions"),
    # from one page to another
    path("corridor/", walks.corridor, name="corridor"),
    path("corridor/open", walks.open_corridor, name="open-corridor"),
    path("corridor.webp", walks.film, {"kind": ".webp"}, name="corridor-webp"),
    path("corridor.mp4", walks.film, {"kind": ".mp4"}, name="corridor-mp4"),
    # a page, in its forms
    path("<address:address>/", page.show, name="page"),
    path("<address:address>.png", page.picture, name="picture"),
    path("<address:address>.webp", page.webp_picture, name="picture-webp"),
    path("<address:address>.txt", page.key_text, name="key-text"),
    path("<address:address>.json", page.page_json, name="page-json"),
    path("<address:address>.npz", page.tensors, name="tensors"),
    path("<address:address>/with-key.png", page.picture_with_key, name="picture-with-key"),
    path("<address:address>/postcard.png", page.postcard_picture, name="postcard"),
    path("<address:address>/thumbnail.webp", page.thumbnail, name="thumbnail"),
    path("<address:address>/card.png", page.card_picture, name="card"),
    path("<address:address>/embed/", shares.embed, name="embed"),
    # while it is printed
    path("<address:address>/events", printing.follow, name="events"),
    path("<address:address>/preview.webp", printing.preview, name="preview"),
    path("<address:address>/leave", printing.leave, name="leave"),
    path("<address:address>/again", printing.again, name="again"),
    path("<address:address>/ahead", printing.ahead, name="ahead"),
    # what it is made of, and beside another
    path("<address:address>/anatomy/", anatomy.show, name="anatomy"),
    path("<address:address>/anatomy/latents.png", anatomy.latents, name="latents"),
    path("<address:address>/anatomy/embedding.png", anatomy.embedding, name="embedding"),
    path("<address:address>/anatomy/difference.png", anatomy.reprint_difference, name="reprint-difference"),
    path("<address:address>/anatomy/again", anatomy.draw_again, name="draw-again"),
    path("<address:address>/anatomy/events", anatomy.follow, name="anatomy-events"),
    path("compare/", anatomy.compare, name="compare"),
    path("compare/draw", anatomy.draw_missing, name="compare-draw"),
    path("compare/difference.webp", anatomy.difference, name="difference"),
    # where something is wrong with it
    path("<address:address>/report", reports.report_form, name="report"),
    path("<address:address>/send-report", reports.send_report, name="send-report"),
    # its neighbours
    path("<address:address>/nearby/", walks.nearby, name="nearby"),
    path("<address:address>/next-volume", neighbours.next_volume, name="next-volume"),
    path("<address:address>/previous-volume", neighbours.previous_volume, name="previous-volume"),
    path("<address:address>/next-key", neighbours.next_key, name="next-key"),
    path("<address:address>/previous-key", neighbours.previous_key, name="previous-key"),
    path("<address:address>", page.show, name="page-without-slash"),
    # all the pages of its volume
    path("<address:address>/volume", volumes.of_page, name="volume-of-page"),
    path("<volume:volume>/", volumes.show, name="volume"),
    # what a visitor comes back to
    path("shelf/", shelf.shelf, name="shelf"),
    path("slideshow/", shelf.slideshow, name="slideshow"),
    # whatever somebody brings
    path("key/", keys.key_form, name="key"),
    path("key/open", keys.open_key, name="open-key"),
    # from a picture back to its key
    path("find/", finding.form, name="find"),
    path("find/send", finding.send, name="find-send"),
    path("find/<str:name>/", finding.show, name="find-search"),
    path("find/<str:name>/start", finding.begin, name="find-start"),
    path("find/<str:name>/events", finding.follow, name="find-events"),
    path("find/<str:name>/preview.webp", finding.preview, name="find-preview"),
    path("find/<str:name>/picture.png", finding.picture, name="find-picture"),
    path("find/<str:name>/leave", finding.leave, name="find-leave"),
    path("find/<str:name>/forget", finding.forget, name="find-forget"),
    path("find/<str:name>/list", finding.put_on_lists, name="find-list"),
    # around the library
    path("about/", library.about, name="about"),
    path("about/holds/", holds.show, name="holds"),
    path("about/holds/<slug:file>.webp", holds.picture, name="holds-picture"),
    path("robots.txt", library.robots, name="robots"),
    path("sitemap.txt", library.sitemap, name="sitemap"),
    # for other programs: feed readers, sites that show a page, telephones
    path("feed.atom", shares.feed, name="feed"),
    path("oembed", shares.oembed, name="oembed"),
    path("manifest.webmanifest", shares.manifest, name="manifest"),
    path("favicon.ico", shares.favicon, name="favicon"),
    path("apple-touch-icon.png", shares.touch_icon, name="touch-icon"),
    # the reading room: last, so that no edition's name takes the place of a page above
    path("<room:edition>/", rooms.room, name="room"),
]
