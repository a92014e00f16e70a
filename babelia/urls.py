"""Every URL: the API's, then the site's (`gallery.urls`)."""

from django.urls import URLPattern, URLResolver, include, path

from gallery.api import api

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/", api.urls),
    path("", include("gallery.urls")),
]

handler400 = "gallery.views.refusals.unreadable"
handler404 = "gallery.views.refusals.not_found"
handler500 = "gallery.views.refusals.broken"
