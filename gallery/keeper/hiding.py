"""Taking a page out of sight and putting it back: what `manage.py hide` and the keeper's desk both do.

What stands in the files decides (`worker.store.hidden`), and the rows are the record of it. Imports the store and the
models; no HTTP.
"""

from collections.abc import Callable

from django.db.models import Q
from django.utils import timezone

from babelia.services import store
from gallery.models import Page
from worker.catalogue.address import Address
from worker.store import hidden

MarkOf = Callable[[Address], str]
"""Says which mark an address resolves to; "" where that is not known."""


def hide(address: Address, mark_of: MarkOf, *, everywhere: bool = True) -> str:
    """Hide a page by its address and by its key, in every edition or in its own alone; what was done, as a sentence.

    `mark_of` may take a while: the address is hidden before it is asked. Raises Error where the database does not
    answer: the page is hidden by files then, and StoreUnavailable where they cannot be written.
    """
    data = store().data
    hidden.hide(data, [hidden.name_of_address(address)], address.format())
    mark = mark_of(address)
    if mark:
        names = [hidden.name_of_key(mark, None if everywhere else address.edition)]
        origin = store().origin(mark)
        if isinstance(origin, Address) and (everywhere or origin.edition == address.edition):
            names.append(hidden.name_of_address(origin))
        hidden.hide(data, names, address.format())
    row, _ = Page.objects.get_or_create(
        digest=address.digest,
        defaults={
            "address": address.format(),
            "edition": address.edition,
            "kind": address.kind,
            "name": address.name,
            "mark": mark,
            "steps": 0,
            "printed_at": timezone.now(),
        },
    )
    Page.objects.filter(pk=row.pk).update(hidden=True, everywhere=everywhere and bool(mark), mark=mark or row.mark)
    if mark:
        same = Page.objects.filter(mark=mark) if everywhere else Page.objects.filter(mark=mark, edition=row.edition)
        same.update(hidden=True)
    where = "in every edition" if everywhere else f"in {address.edition}"
    how = f"{where}, by every address of its key {mark}" if mark else "by this address alone"
    return f"{address.format()} is hidden {how}. Browsers that have seen it may keep it for a day."


def show(address: Address, mark_of: MarkOf) -> str:
    """Show a page again, in every edition; what was done, as a sentence. Raises Error, StoreUnavailable."""
    mark = mark_of(address)
    prompts = Page.objects.filter(hidden=True, edition=address.edition, kind=address.kind)
    spelled = [row.digest for row in prompts if Address.parse(row.address) == address]  # with capitals, once
    same = Q(digest__in=[address.digest, *spelled])
    names = {hidden.name_of_address(address)}
    if mark:
        same |= Q(mark=mark)
        origin = store().origin(mark)
        names |= {hidden.name_of_address(origin)} if isinstance(origin, Address) else set()
        names |= {hidden.name_of_key(mark), *hidden.names_of_key_in_editions(store().data, mark)}
    names |= {f"addresses/{digest}" for digest in Page.objects.filter(same).values_list("digest", flat=True)}
    shown = Page.objects.filter(same, hidden=True).update(hidden=False, everywhere=False)
    # Made only to hide a page that was never opened. One that is to stay off the wall was made for that.
    Page.objects.filter(same, steps=0, listed=True).delete()
    shown += len(hidden.show(store().data, names))
    return f"{address.format()} is shown again." if shown else f"{address.format()} was not hidden."
