"""What the database remembers of pages. Pictures and keys are files (`worker.store.store`); rows can be rewritten."""

from typing import Final

from django.core.validators import RegexValidator
from django.db import models

REASONS: Final = {
    "people": "It shows or names a real person who would not want that",
    "children": "It shows a child in a sexual way",
    "violence": "It is hateful, or cruel",
    "explicit": "It is explicit",
    "other": "Something else",
}
"""What a visitor can say is wrong with a page, in the order in which it is offered."""


class Page(models.Model):
    """One page that was opened here, by the address under which it was first opened."""

    digest = models.CharField(max_length=64, unique=True)
    """SHA-256 of `address`: short enough to be indexed by any database."""
    address = models.TextField()
    edition = models.CharField(max_length=40)
    kind = models.CharField(max_length=6)
    name = models.TextField()
    """The prompt or the name of the volume, or the mark."""
    mark = models.CharField(max_length=26)
    rendition = models.TextField()
    pixel_digest = models.CharField(max_length=64)
    steps = models.PositiveSmallIntegerField()
    printed_at = models.DateTimeField()
    opened = models.PositiveBigIntegerField(default=0)
    """How often its page was opened; written in batches by `gallery.ledger`, so it lags by seconds."""
    flagged = models.BooleanField(default=False)
    """The edition's safety checker flagged it: shown behind a veil, not listed on walls."""
    hidden = models.BooleanField(default=False)
    """Neither shown, printed nor listed; by address and by mark."""
    listed = models.BooleanField(default=True)
    """Whether it may stand on walls and lists: not where whoever first searched for its words kept them off."""
    everywhere = models.BooleanField(default=False)
    """Where it is hidden: the key is hidden in every edition, and not in this one alone."""
    colour = models.CharField(max_length=7, blank=True, default="", validators=[RegexValidator(r"\A#[0-9a-f]{6}\Z")])
    """What its picture has most of, `#rrggbb`, behind the thumbnail; empty until it is known (`gallery.ledger`)."""

    class Meta:
        indexes = [
            models.Index(fields=["hidden", "-printed_at"], name="page_recent"),
            models.Index(fields=["edition", "mark"], name="page_mark"),
            models.Index(fields=["edition", "kind", "name"], name="page_name"),
            models.Index(fields=["pixel_digest"], name="page_pixels"),
            # The wall, in the order in which pages were first opened: a part of it is read and counted from here.
            models.Index(
                fields=["edition", "-id", "kind"],
                condition=models.Q(hidden=False, flagged=False, listed=True),
                name="page_wall",
            ),
        ]

    def __str__(self) -> str:
        return str(self.address)


class Report(models.Model):
    """One page that visitors have reported, for the keeper to look at."""

    digest = models.CharField(max_length=64, unique=True)
    """SHA-256 of `address`."""
    address = models.TextField()
    edition = models.CharField(max_length=40)
    mark = models.CharField(max_length=26, blank=True)
    reason = models.CharField(max_length=20, choices=list(REASONS.items()))
    note = models.TextField(blank=True)
    """What the last visitor who wrote something wrote."""
    times = models.PositiveIntegerField()
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    open = models.BooleanField(default=True)
    """Whether the keeper has not dealt with it yet."""

    class Meta:
        indexes = [models.Index(fields=["-open", "-last_at"], name="report_open")]

    def __str__(self) -> str:
        return str(self.address)
