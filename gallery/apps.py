"""The gallery as a Django app."""

from django.apps import AppConfig


class GalleryConfig(AppConfig):
    """The site: addresses, pages, search, walls, API."""

    name = "gallery"
    default_auto_field = "django.db.models.BigAutoField"
