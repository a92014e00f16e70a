"""gallery.api.routes: the API as a whole."""

import secrets

from gallery.api.routes import api
from tests.gallery.finding.conftest import picture
from tests.visitor import ask, post_file, send_json


def test_the_description_names_every_path_and_the_docs_need_no_other_site(site: str) -> None:
    described = ask(site, "/api/openapi.json").json
    assert set(described["paths"]) == {  # type: ignore[call-overload]
        "/api/page",
        "/api/page/leave",
        "/api/page/events",
        "/api/page/picture",
        "/api/page/key",
        "/api/key",
        "/api/editions",
        "/api/recent",
        "/api/random",
        "/api/opened",
        "/api/search",
        "/api/volume",
        "/api/nearby",
        "/api/corridor",
        "/api/find",
        "/api/find/{name}",
        "/api/find/{name}/events",
        "/api/find/{name}/leave",
    }
    docs = ask(site, "/api/docs").text
    assert "https://" not in docs
    assert "/static/ninja/swagger-ui-bundle.js" in docs


def test_every_operation_has_a_name_of_its_own_and_keeps_it() -> None:
    found = [op for path in api.get_openapi_schema()["paths"].values() for op in path.values()]
    names = [operation["operationId"] for operation in found]
    assert len(set(names)) == len(names)
    assert {"gallery_api_facts", "gallery_api_ask", "gallery_api_open_key", "gallery_api_list_recent"} <= set(names)


def test_a_page_of_another_site_may_read_and_not_write(site: str) -> None:
    elsewhere = {"Origin": "https://elsewhere.example"}
    body = {"address": f"tiny/key/{secrets.token_hex(8)}/1"}
    refused = send_json(site, "/api/page", body, **elsewhere)
    assert (refused.status, refused.json["code"]) == (403, "foreign_site")
    assert ask(site, "/api/editions", **elsewhere).status == 200


def test_head_is_answered_wherever_get_is(site: str) -> None:
    search = str(post_file(site, "a.png", picture(7), "/api/find").json["id"])
    for path, methods in api.get_openapi_schema()["paths"].items():
        needed = {"address": "tiny/key/borges/1", "volume": "tiny/key/borges", "words": "dog"}
        needed |= {"first": "tiny/stacks/borges/1", "last": "tiny/stacks/borges/2"}
        named = [
            p["name"] for p in methods.get("get", {}).get("parameters", []) if p["in"] == "query" and p["required"]
        ]
        asked = f"{path}?{'&'.join(f'{name}={needed[name]}' for name in named)}"
        answer = ask(site, asked.replace("{name}", search), "HEAD")
        assert (answer.status, answer.body) == (200 if "get" in methods else 405, b""), path
    assert send_json(site, f"/api/find/{search}/leave", {"visitor": "me"}).status == 200
