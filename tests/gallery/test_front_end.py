"""Templates, scripts and styles: the rules of the house that a machine can hold."""

import re
from pathlib import Path

import pytest
from django.templatetags.static import static

from tests import ROOT

SCRIPTS = sorted((ROOT / "static" / "js").glob("*.js"))
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
COLOURS = (ROOT / "static" / "css" / "colours.css").read_text(encoding="utf-8")
RULES = (ROOT / "static" / "css" / "rules.css").read_text(encoding="utf-8")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_one_short_behaviour_without_paths_or_sentences(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 60
    assert text.startswith("// "), "a script says in its first line what it does"
    code = re.sub(r"//.*", "", text)
    for quoted in re.findall(r"\"([^\"]*)\"|'([^']*)'|`([^`]*)`", code):
        words = "".join(quoted)
        assert not words.startswith("/"), f"a path in a script: {words}"
        assert not re.search(r"[A-Za-z]+ [a-z]+ [a-z]+", words), f"a sentence in a script: {words}"
    assert "innerHTML" not in code
    if "fetch(" in code:
        assert ".ok" in code, "every response is checked"


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_a_template_holds_no_script_style_or_foreign_file(template: Path) -> None:
    text = template.read_text(encoding="utf-8")
    assert not re.search(r"<script(?![^>]*(?: src=|application/json))|<style|\sstyle=|\son[a-z]+=\"", text)
    assert not re.search(r"https?://", text.replace("{{ request.scheme }}://", ""))
    assert "|safe" not in text or template.parent.name == "ninja"


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_an_id_stands_for_one_element(template: Path) -> None:
    """Scripts find what they speak of by its id; alternatives (`{% else %}`) may share one."""
    text, frame = template.read_text(encoding="utf-8"), (ROOT / "templates" / "base.html").read_text(encoding="utf-8")
    named = re.findall(r'\sid="([^"]*)"', re.sub(r"\{% el(?:se|if).*?\{% endif %\}", "", text, flags=re.DOTALL))
    assert len(set(named)) == len(named)
    if 'extends "base.html"' in text:
        outside = re.sub(r"\{% block main %\}.*?\{% endblock %\}\s*<footer", "<footer", frame, flags=re.DOTALL)
        assert not set(named) & set(re.findall(r'\sid="([^"]*)"', outside))


def test_colours_are_named_in_one_file_only() -> None:
    assert not re.search(r"#[0-9a-f]{3,8}\b|rgb\(|hsl\(", RULES)
    used = set(re.findall(r"var\((--[a-z-]+)\)", RULES))
    named = set(re.findall(r"(--[a-z-]+):", COLOURS + RULES))
    assert used <= named
    assert set(re.findall(r"(--[a-z-]+):", COLOURS)) <= used | set(re.findall(r"var\((--[a-z-]+)\)", COLOURS))


FONTS = sorted((ROOT / "static" / "fonts").glob("*.woff2"))


def test_each_typeface_is_small_licensed_and_named_with_its_stamp() -> None:
    named = re.findall(r"url\(\"\.\./fonts/([a-z-]+\.woff2)\?v=([0-9a-f]{16})\"\)", COLOURS)
    assert sorted(name for name, _ in named) == [font.name for font in FONTS]
    for name, stamp in named:
        assert static(f"fonts/{name}") == f"/static/fonts/{name}?v={stamp}", "preloads and sheets name the same file"
    assert all(font.stat().st_size < 45_000 for font in FONTS)
    assert COLOURS.count("@font-face") == COLOURS.count("font-display: optional") == len(FONTS)
    for licence in ("literata-OFL.txt", "mono-OFL.txt"):
        text = (FONTS[0].parent / licence).read_text(encoding="utf-8")
        assert "SIL OPEN FONT LICENSE Version 1.1" in text
        assert "with Reserved Font Name" not in text, "a subset could not keep its name"


def luminance(colour: str) -> float:
    """WCAG 2.2's relative luminance of #rrggbb."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_the_contrast_of_level_aa(scheme: str) -> None:
    light, dark = COLOURS.split("prefers-color-scheme: dark")
    of = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", light if scheme == "light" else dark))
    for text in ("ink", "faded", "binding", "alarm"):
        for ground in ("paper", "leaf"):
            assert contrast(of[text], of[ground]) >= 4.5, (scheme, text, ground)
    assert contrast(of["on-binding"], of["binding"]) >= 4.5
    for edge in ("faded", "gilt"):  # borders of fields, the focus ring
        assert contrast(of[edge], of["paper"]) >= 3, (scheme, edge)


# -- paths and numbers have one home

LINKING = re.compile(r"""(?:href|src|action|content|data-[a-z]+)=["']([^"']*)["']""")


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_a_template_types_no_path(template: Path) -> None:
    text = template.read_text(encoding="utf-8")
    text = re.sub(r"\{%\s*url [^%]*%\}|\{%\s*static [^%]*%\}", "ROUTE", text)
    typed = [value for value in LINKING.findall(text) if value.startswith("/") or re.match(r"[^ ]*\}/[a-z]", value)]
    assert not typed, "a link is made by {% url %} or comes from the description of a page"
    assert not re.search(r">\s*/[a-z{]", text), "a path that is shown is made as well"


def test_a_typed_path_would_be_found() -> None:
    for wrong in ('<a href="/about/">', '<a href="/{{ edition }}/random/">', '<p data-drop="/key/open">'):
        assert [value for value in LINKING.findall(wrong) if value.startswith("/")], wrong


TYPED = re.compile(
    r"(?<![\d,.])(?:410|189,?436|1,?136,?616|142,?077|16 MB|256 kB|262,?144|16,?777,?216"
    r"|16 \* (?:1024|2\*\*20)|256 \* 1024|(?:up to|1 to|≤) (?:64|128|410|500))(?![\d,]\d)"
)
"""Limits and sizes that worker.catalogue names: PAGES, CHARACTERS, BITS, KEY_TEXT_BYTES, PICTURE_FILE_BYTES …"""
STATING = [*TEMPLATES, *SCRIPTS, *(f for f in sorted((ROOT / "gallery").rglob("*.py")) if "management" not in f.parts)]


@pytest.mark.parametrize("file", STATING, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_of_the_site_types_a_number_that_has_a_name(file: Path) -> None:
    found = [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if TYPED.search(line)]
    assert not found


def test_a_typed_number_would_be_found() -> None:
    for wrong in ("Page 1 of 410", "189,436 letters", "may have 16 MB", "a name of up to 64 letters", "256 * 1024"):
        assert TYPED.search(wrong), wrong
    for right in ("410,000", "1410", "{{ numbers.pages }}", "1.410"):
        assert not TYPED.search(right), right
