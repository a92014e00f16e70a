"""gallery.addresses and gallery.urls: which URL is which page, and which is none."""

from urllib.parse import quote, unquote

import pytest
from django.test import RequestFactory
from django.test.utils import override_script_prefix
from django.urls import Resolver404, resolve
from hypothesis import given
from hypothesis import strategies as st

from gallery.addresses import (
    ALPHABET,
    is_canonical,
    neighbour_page,
    neighbour_volume,
    path_meant,
    path_of,
    path_of_volume,
)
from worker.catalogue.address import Address, Kind, canonical_prompt
from worker.errors import AddressRefused

FORMS = {
    "/": "page",
    ".png": "picture",
    ".webp": "picture-webp",
    ".txt": "key-text",
    ".json": "page-json",
    "/with-key.png": "picture-with-key",
    "/thumbnail.webp": "thumbnail",
    "/card.png": "card",
    "/events": "events",
    "/preview.webp": "preview",
    "/leave": "leave",
    "/again": "again",
    "/nearby/": "nearby",
    "/next-volume": "next-volume",
    "/previous-volume": "previous-volume",
    "/next-key": "next-key",
    "/previous-key": "previous-key",
}
MARK = "numxaqqioe4lpfc6qxh46pi5yy"
PROMPTS = [
    "a dog",
    "un cœur brisé",
    "雪の中の狐",
    "🦊🌲 ❤️‍🔥",
    "e\u0301te\u0301",
    "كلب على الشاطئ",
    "a/b?c#d%e&f=g+h",
    "/",
    "//",
    "what? a dog / a cat",
    "1/2",
    "dog/1.png",
    "a.png",
    "x/1/events",
    "x/1/",
    "key/borges/1",
    ".hidden",
    "…",
    "a\\b",
    "'quoted' \"twice\" <b>",
]


def unquoted_path(address: Address, form: str) -> str:
    """The path as uvicorn hands it to Django: percent-decoded, `%2F` too."""
    return f"/{address.format()}{form}"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_prompt_survives_the_way_through_the_url_in_every_form(prompt: str, form: str) -> None:
    address = Address("pocket-1", "prompt", canonical_prompt(prompt), 7)
    match = resolve(unquoted_path(address, form))
    assert match.kwargs == {"address": address}
    assert match.url_name == FORMS[form]


@given(st.text(min_size=1, max_size=500), st.integers(1, 410), st.sampled_from(sorted(FORMS)))
def test_every_prompt_that_is_taken_comes_back_from_its_url(text: str, page: int, form: str) -> None:
    try:
        address = Address("pocket-1", "prompt", canonical_prompt(text), page)
    except AddressRefused:
        return
    assert resolve(unquoted_path(address, form)).kwargs == {"address": address}


@given(st.binary(max_size=40))
def test_no_bytes_at_all_break_the_resolver(path: bytes) -> None:
    decoded = path.decode("utf-8", errors="replace")
    for before in ("/", "/pocket-1/prompt/", "/pocket-1/key/", "/pocket-1/mark/"):
        try:
            resolve(f"{before}{decoded}/1/")
        except Resolver404:
            continue


@pytest.mark.parametrize("form", FORMS)
def test_marks_keys_and_stacks_resolve_in_every_form(form: str) -> None:
    for text in ("pocket-1/key/borges/1", "sd-1.5/stacks/A-_9/410", f"pocket-1/mark/{MARK}"):
        address = Address.parse(text)
        assert resolve(unquoted_path(address, form)).kwargs == {"address": address}


@pytest.mark.parametrize(
    "path",
    [
        "/pocket-1/key/borges/0/",
        "/pocket-1/key/borges/411/",
        "/pocket-1/key/borges/01/",
        "/pocket-1/key/borges/-1/",
        "/pocket-1/key/borges/١/",  # an Arabic 1
        "/pocket-1/key/bor ges/1/",
        "/pocket-1/key/bor^ges/1/",  # between Z and a
        "/pocket-1/key/bor`ges/1/",
        "/pocket-1/key/" + 65 * "a" + "/1/",
        "/pocket-1/key//1/",
        "/pocket-1/shelf/borges/1/",
        "/Pocket-1/key/borges/1/",
        "/../key/borges/1/",
        "/pocket-1/prompt/a\x00b/1/",
        "/pocket-1/prompt/a\x1bb/1/",
        "/pocket-1/prompt/a\x7fb/1/",
        "/pocket-1/prompt/a\u202eb/1/",  # right-to-left override
        "/pocket-1/prompt/a\u2066b/1/",
        "/pocket-1/prompt/a\ufffdb/1/",  # what invalid or overlong UTF-8 becomes
        "/pocket-1/prompt/a\ud800b/1/",
        "/pocket-1/prompt/./1/",
        "/pocket-1/prompt/a/../b/1/",
        "/pocket-1/prompt/ /1/",
        "/pocket-1/prompt/" + 501 * "a" + "/1/",
        f"/pocket-1/mark/{MARK}/1/",
        f"/pocket-1/mark/{MARK[:-1]}/",
        "/pocket-1/mark/NUMXAQQIOE4LPFC6QXH46PI5Y1/",
        "/pocket-1/random",
        "/prompt/random/",
        "/favicon.png",
        "/atlantis/",
    ],
)
def test_a_malformed_address_reaches_no_view(path: str) -> None:
    with pytest.raises(Resolver404):
        resolve(path)


@pytest.mark.parametrize(
    ("spelled", "canonical"),
    [
        ("/pocket-1/key/borges/1", "/pocket-1/key/borges/1/"),
        ("/pocket-1/key/borges/1//", "/pocket-1/key/borges/1/"),
        ("/key/borges/1/", "/pocket-1/key/borges/1/"),
        ("/pocket-1/prompt/a  dog /1/", "/pocket-1/prompt/a%20dog/1/"),
        ("/pocket-1/prompt/a\tdog\n/1/", "/pocket-1/prompt/a%20dog/1/"),
        ("/pocket-1/prompt/e\u0301te\u0301/1/", "/pocket-1/prompt/%C3%A9t%C3%A9/1/"),
        ("/pocket-1/prompt/A Dog/1/", "/pocket-1/prompt/a%20dog/1/"),
        ("/pocket-1/prompt/Übung\u0301/1/", "/pocket-1/prompt/%C3%BCbun%C7%B5/1/"),
        (f"/pocket-1/mark/{MARK.upper()}/", f"/pocket-1/mark/{MARK}/"),
    ],
)
def test_a_second_spelling_resolves_to_the_canonical_address(spelled: str, canonical: str) -> None:
    address = resolve(spelled).kwargs["address"]
    assert path_of(address) == canonical
    assert not is_canonical(RequestFactory().get(quote(spelled)), address, "/")


@pytest.mark.parametrize("path", ["a%2Fb,%27c+", "a/b,'c+", "a%2fb%2C'c%2B", "%61/b,%27c%2b"])
def test_how_a_proxy_has_encoded_a_path_does_not_count(path: str) -> None:
    address = Address("pocket-1", "prompt", "a/b,'c+", 1)
    request = RequestFactory().get(f"/pocket-1/prompt/{path}/1/?visitor=x")
    request.scope = {"raw_path": f"/pocket-1/prompt/{path}/1/".encode()}
    assert is_canonical(request, address, "/")
    assert not is_canonical(request, address.with_page(2), "/")


MEANT = {
    "/about": "/about/",
    "/About/": "/about/",
    "//about//": "/about/",
    "/key": "/key/",
    "/search": "/search/",
    "/random": "/random/",
    "/api": "/api/",
    "/api/docs/": "/api/docs",
    "/robots.txt/": "/robots.txt",
    "/pocket-1": "/pocket-1/",
    "/Pocket-1": "/pocket-1/",
    "//Pocket-1//": "/pocket-1/",
    "/pocket-1/Opened": "/pocket-1/opened/",
    "/pocket-1/random": "/pocket-1/random/",
    "/Pocket-1/Random/": "/pocket-1/random/",
    "/pocket-1/key/Borges": "/pocket-1/key/Borges/",
    "/key/borges": "/pocket-1/key/borges/",
    "/pocket-1/stacks/borges/": "/pocket-1/stacks/borges/1/",
    "/pocket-1/prompt/a dog": "/pocket-1/prompt/a%20dog/",
    "/Pocket-1/prompt/A Dog": "/pocket-1/prompt/a%20dog/",
    "/pocket-1/prompt/a dog/01/": "/pocket-1/prompt/a%20dog/1/",
    "/pocket-1/Prompt/a/b/": "/pocket-1/prompt/a%2Fb/",
    "/pocket-1/prompt/a dog/01.png": "/pocket-1/prompt/a%20dog/1.png",
    "/pocket-1/key/borges.json": "/pocket-1/key/borges/1.json",
    f"/Pocket-1/mark/{MARK}": f"/pocket-1/mark/{MARK}/",
}
NOT_MEANT = [
    *("/nothing/here/", "/nothing", "/atlantis/key/borges", "/atlantis/stacks/borges", "/pocket-1/prompt/a dog/1/b"),
    *("/pocket-1/key/borges/411/", "/pocket-1/key/borges/0/"),
    *("/pocket-1/prompt/a dog/1/frame/", "/pocket-1/prompt//", "/pocket-1/key/", "/wp-login.php"),
    *(
        "//example.org/",
        "/\\example.org",
        "/pocket-1/prompt/a\u202eb/",
        "/pocket-1/prompt/a\ufffdb/",
        "/pocket-1/prompt/../",
    ),
]


def form_of(path: str) -> str:
    return next((form for form in (".png", ".txt", ".json") if path.endswith(form)), "/")


@pytest.mark.parametrize("prefix", ["/", "/library/"])
@pytest.mark.parametrize("path", MEANT)
def test_a_path_that_leads_nowhere_leads_to_what_was_meant(path: str, prefix: str) -> None:
    with override_script_prefix(prefix):
        meant = path_meant(path, form_of(path))
        assert meant == prefix[:-1] + MEANT[path]
    resolve(unquote(MEANT[path]))
    with pytest.raises(Resolver404):
        resolve(path)


@pytest.mark.parametrize("path", NOT_MEANT)
def test_nobody_is_led_somewhere_else_than_was_meant(path: str) -> None:
    assert path_meant(path, form_of(path)) is None


@given(
    st.text(alphabet="pP/01.k aé%\\", max_size=10), st.sampled_from(["/", "/pocket-1/", "/pocket-1/prompt/", "/key/"])
)
def test_what_was_meant_is_there_and_is_another_path(tail: str, before: str) -> None:
    path = before + tail
    meant = path_meant(path, form_of(path))
    if meant is not None:
        assert meant.startswith("/") and not meant.startswith("//") and meant.isascii()
        assert unquote(meant) != path
        resolve(unquote(meant))


@pytest.mark.parametrize("kind", ["key", "prompt"])
@given(data=st.data())
def test_a_volumes_path_leads_to_its_sheet_and_to_no_other(kind: Kind, data: st.DataObject) -> None:
    names = {"key": st.text(ALPHABET, min_size=1, max_size=8), "prompt": st.text("ab1/0 .é", min_size=1, max_size=8)}
    try:
        name = data.draw(names[kind])
        volume = Address("pocket-1", kind, canonical_prompt(name) if kind == "prompt" else name, 1)
    except AddressRefused:
        return
    path = path_of_volume(volume.with_page(7))
    assert path is not None
    found = resolve(unquote(path))
    if found.url_name == "volume-of-page":
        assert "/" in volume.name and found.kwargs == {"address": volume}
    else:
        assert (found.url_name, found.kwargs) == ("volume", {"volume": volume})


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a dog", "/pocket-1/prompt/a%20dog/"),
        ("7", "/pocket-1/prompt/7/"),
        ("a/b", "/pocket-1/prompt/a%2Fb/"),
        ("24/7", "/pocket-1/prompt/24%2F7/1/volume"),
        ("a/411", "/pocket-1/prompt/a%2F411/1/volume"),
        ("a/7/b", "/pocket-1/prompt/a%2F7%2Fb/1/volume"),
        ("a/", "/pocket-1/prompt/a%2F/1/volume"),
    ],
)
def test_a_prompt_that_could_be_a_page_has_its_sheet_elsewhere(name: str, path: str) -> None:
    assert path_of_volume(Address("pocket-1", "prompt", name, 3)) == path


def test_stacks_and_marks_have_no_sheet() -> None:
    assert path_of_volume(Address("pocket-1", "stacks", "borges", 1)) is None
    assert path_of_volume(Address("pocket-1", "mark", MARK, None)) is None
    for path in (
        "/pocket-1/stacks/borges/",
        "/pocket-1/key/bor ges/",
        "/pocket-1/key/borges/411/",
        "/pocket-1/prompt/./",
    ):
        with pytest.raises(Resolver404):
            resolve(path)


def test_pages_have_neighbours_inside_the_covers_only() -> None:
    address = Address("pocket-1", "prompt", "a dog", 1)
    assert neighbour_page(address, -1) is None
    assert neighbour_page(address, 1) == address.with_page(2)
    assert neighbour_page(address.with_page(410), 1) is None
    assert neighbour_page(Address("pocket-1", "mark", MARK, None), 1) is None


@pytest.mark.parametrize(
    ("name", "following"),
    [("A", "B"), ("Z", "a"), ("9", "-"), ("_", "AA"), ("A_", "BA"), ("__", "AAA"), ("borges", "borget")],
)
def test_volumes_stand_by_length_and_then_in_the_order_of_the_alphabet(name: str, following: str) -> None:
    first, second = Address("pocket-1", "key", name, 3), Address("pocket-1", "key", following, 3)
    assert neighbour_volume(first, 1) == second
    assert neighbour_volume(second, -1) == first


def test_the_first_and_the_last_volume_have_one_neighbour_each() -> None:
    assert neighbour_volume(Address("pocket-1", "stacks", "A", 1), -1) is None
    assert neighbour_volume(Address("pocket-1", "stacks", 64 * "_", 1), 1) is None


@given(st.text(ALPHABET, min_size=1, max_size=64))
def test_the_neighbours_of_a_volume_are_each_others_neighbours(name: str) -> None:
    address = Address("pocket-1", "key", name, 1)
    for by in (1, -1):
        neighbour = neighbour_volume(address, by)
        assert neighbour is None or neighbour_volume(neighbour, -by) == address


def test_prompts_and_marks_have_no_volume_beside_them() -> None:
    assert neighbour_volume(Address("pocket-1", "prompt", "a dog", 1), 1) is None
    assert neighbour_volume(Address("pocket-1", "mark", MARK, None), 1) is None
