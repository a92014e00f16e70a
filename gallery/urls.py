"""Every URL of the site, in the order in which a visitor meets the pages."""

from django.urls import path, register_converter

from gallery import views
from gallery.addresses import AddressConverter, EditionConverter

register_converter(AddressConverter, "address")
register_converter(EditionConverter, "edition")

urlpatterns = [
    path("", views.entrance, name="entrance"),
    path("card.png", views.entrance_picture, name="entrance-card"),
    path("search/", views.search, name="search"),
    path("random/", views.random, name="random"),
    path("<edition:edition>/random/", views.random, name="random-of-edition"),
    # a page, in its forms
    path("<address:address>/", views.show, name="page"),
    path("<address:address>.png", views.picture, name="picture"),
    path("<address:address>.txt", views.key_text, name="key-text"),
    path("<address:address>.json", views.facts_json, name="facts"),
    path("<address:address>/with-key.png", views.picture_with_key, name="picture-with-key"),
    path("<address:address>/thumbnail.webp", views.thumbnail, name="thumbnail"),
    path("<address:address>/card.png", views.card_picture, name="card"),
    # while it is printed
    path("<address:address>/events", views.follow, name="events"),
    path("<address:address>/preview.webp", views.preview, name="preview"),
    path("<address:address>/leave", views.leave, name="leave"),
    path("<address:address>/again", views.again, name="again"),
    # its neighbours
    path("<address:address>/next-volume", views.next_volume, name="next-volume"),
    path("<address:address>/previous-volume", views.previous_volume, name="previous-volume"),
    path("<address:address>/next-key", views.next_key, name="next-key"),
    path("<address:address>/previous-key", views.previous_key, name="previous-key"),
    path("<address:address>", views.show, name="page-without-slash"),
    # full keys
    path("key/", views.key_form, name="key"),
    path("key/open", views.open_key, name="open-key"),
    # around the library
    path("about/", views.about, name="about"),
    path("robots.txt", views.robots, name="robots"),
]
