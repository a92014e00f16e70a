"""Every URL: the keeper's desk, the API's, then the site's (`gallery.urls`)."""

from django.conf import settings
from django.urls import URLPattern, URLResolver, include, path

from gallery.api import routes
from gallery.keeper.desk import desk

urlpatterns: list[URLPattern | URLResolver] = [
    path(settings.KEEPER_PATH, desk.urls),
    path("api/", routes.urls),
    path("", include("gallery.urls")),
]

handler400 = "gallery.views.refusals.unreadable"
handler404 = "gallery.views.refusals.not_found"
handler500 = "gallery.views.refusals.broken"
