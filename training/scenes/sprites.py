"""The sprites: reads the tracked pack, and makes it again from the npm packages (Pillow and the standard library only).

The pack is one zip: `<hexcode>.webp` as Fluent Emoji 3D ships them (256×256, alpha), `names.json` from
emojibase-data, and both licences. It holds every picture of the groups used, so that no training needs a network.
"""

from __future__ import annotations

import colorsys
import functools
import io
import json
import subprocess
import tarfile
import tempfile
import tomllib
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from training.errors import TrainingError

HERE = Path(__file__).parent
PACK = HERE / "sprites.zip"
SUBJECTS = HERE / "subjects.toml"
PACKAGES = ("@lobehub/fluent-emoji-3d@1.1.0", "emojibase-data@17.0.0")
GROUPS = (3, 4, 5, 6, 7)  # animals and nature, food, travel, activities, objects
EXTRA = {"1f916": "robot", "1f47b": "ghost", "1f47d": "alien", "2764-fe0f": "red heart"}
HUES = {"red": 0.0, "orange": 0.075, "yellow": 0.145, "green": 0.33, "blue": 0.6, "purple": 0.77, "pink": 0.91}


@dataclass(frozen=True)
class Subject:
    """One thing that can be named: its words, its sprite, where it stands and how large it is drawn."""

    number: int
    name: str
    sprite: str
    group: str
    plural: str
    also: tuple[str, ...] = ()
    place: str = "ground"
    size: float = 1.0
    hues: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        """The name, then the words that mean the same."""
        return (self.name, *self.also)


def plural_of(noun: str) -> str:
    """The regular English plural of a noun: car → cars, bus → buses, butterfly → butterflies."""
    if noun.endswith(("s", "x", "z", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"


def read_subjects(path: Path = SUBJECTS) -> list[Subject]:
    """The curated list, in the order of the file."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    subjects: list[Subject] = []
    for group, entries in table.items():
        for name, entry in entries.items():
            subjects.append(
                Subject(
                    number=len(subjects),
                    name=name,
                    sprite=entry["sprite"],
                    group=group,
                    plural=entry.get("plural", plural_of(name)),
                    also=tuple(entry.get("also", ())),
                    place=entry.get("place", "ground"),
                    size=entry.get("size", 1.0),
                    hues=entry.get("hues", False),
                )
            )
    return subjects


@dataclass
class SpritePack:
    """The opened pack: names of all pictures, and their RGBA pixels, recoloured and scaled on request."""

    names: dict[str, dict[str, Any]]
    archive: zipfile.ZipFile
    _base: dict[tuple[str, str | None], Image.Image] = field(default_factory=dict)

    def subjects(self, everything: bool = False) -> list[Subject]:
        """The curated subjects, and with `everything` all others of the pack after them."""
        subjects = read_subjects()
        if not everything:
            return subjects
        taken = {word for s in subjects for word in (*s.words, s.sprite)}
        for code, entry in sorted(self.names.items()):
            name = str(entry["label"]).lower()
            if code in taken or name in taken or not name.replace(" ", "").replace("-", "").isalpha():
                continue
            also = tuple(t for t in entry["tags"][:2] if t not in taken and t.isalpha())
            subjects.append(Subject(len(subjects), name, code, "more", plural_of(name), also))
            taken.update((name, *also))
        return subjects

    def image(self, sprite: str, hue: str | None = None) -> Image.Image:
        """The picture, cut to its opaque box, (H, W) RGBA; `hue` names a colour that its main one is turned to."""
        if (sprite, hue) not in self._base:
            try:
                picture = Image.open(io.BytesIO(self.archive.read(f"{sprite}.webp"))).convert("RGBA")
            except KeyError as error:
                raise TrainingError(
                    f"The sprite pack holds no picture {sprite}.", "Make it again with `python -m training sprites`."
                ) from error
            box = picture.getchannel("A").point(lambda a: 255 if a > 24 else 0).getbbox()
            picture = picture.crop(box)
            self._base[sprite, hue] = turn_hue(picture, HUES[hue]) if hue else picture
        return self._base[sprite, hue]


def turn_hue(picture: Image.Image, target: float) -> Image.Image:
    """Turns the hues near a picture's main hue to `target` (0 … 1, red = 0); grey and other hues stay as they are."""
    rgba = np.asarray(picture)
    hsv = np.asarray(picture.convert("RGB").convert("HSV")).astype(np.float32) / 255
    weight = hsv[..., 1] * hsv[..., 2] * (rgba[..., 3] > 128)
    angle = hsv[..., 0] * 2 * np.pi
    main = float(np.angle((weight**2 * np.exp(1j * angle)).sum()) / (2 * np.pi)) % 1
    distance = np.abs((hsv[..., 0] - main + 0.5) % 1 - 0.5)
    near = np.clip((0.16 - distance) / 0.05, 0, 1) * np.clip((hsv[..., 1] - 0.15) / 0.15, 0, 1)
    turned = hsv.copy()
    turned[..., 0] = (hsv[..., 0] - main) * 0.6 + target
    turned[..., 0] %= 1
    rgb = _rgb(turned)
    # Yellow looks lighter and blue darker than other hues of one value: keep the brightness of the original.
    light = np.array([0.299, 0.587, 0.114], np.float32)
    before = rgba[..., :3].astype(np.float32) @ light
    ratio = np.clip((before + 30) / (rgb @ light + 30), 0.88, 1.45)[..., None]
    mixed = rgba[..., :3] + (np.clip(rgb * ratio, 0, 255) - rgba[..., :3]) * near[..., None]
    return Image.fromarray(np.dstack([mixed.astype(np.uint8), rgba[..., 3]]), "RGBA")


def _rgb(hsv: np.ndarray) -> np.ndarray:
    """HSV in 0 … 1 to RGB in 0 … 255, (H, W, 3)."""
    table = np.array([colorsys.hsv_to_rgb(i / 256, 1, 1) for i in range(257)], np.float32)  # (257, 3)
    pure = table[(hsv[..., 0] * 256).astype(np.int32)]
    value = hsv[..., 2:3]
    result: np.ndarray = (1 - hsv[..., 1:2] * (1 - pure)) * value * 255
    return result


@functools.cache
def open_pack(path: Path = PACK) -> SpritePack:
    """Opens the pack; TrainingError with a sentence where it is missing or broken."""
    try:
        # In memory, not as an open file: the training's processes would share its position and read each other's bytes.
        archive = zipfile.ZipFile(io.BytesIO(path.read_bytes()))
        names = json.loads(archive.read("names.json"))
    except FileNotFoundError as error:
        raise TrainingError(
            f"There is no sprite pack at {path}.", "Make it with `python -m training sprites` (it needs npm)."
        ) from error
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise TrainingError(
            f"The sprite pack at {path} is broken ({error}).", "Make it again with `python -m training sprites`."
        ) from error
    return SpritePack(names=names, archive=archive)


def make_pack(path: Path = PACK, packages: list[Path] | None = None) -> int:
    """Writes the pack from both npm packages (given as .tgz, or fetched with `npm pack`); returns how many pictures."""
    with tempfile.TemporaryDirectory() as folder:
        tarballs = packages or _fetch(Path(folder))
        contents: dict[str, bytes] = {}
        for tarball in tarballs:
            with tarfile.open(tarball) as tar:
                for member in tar.getmembers():
                    name = member.name.removeprefix("package/")
                    wanted = name.startswith("assets/") or name in ("en/data.json", "LICENSE", "README.md")
                    stream = tar.extractfile(member) if wanted and member.isfile() else None
                    if stream is not None:
                        contents[f"{'emojibase' if 'emojibase' in tarball.name else 'fluent'}/{name}"] = stream.read()
    entries = {entry["hexcode"].lower(): entry for entry in json.loads(contents["emojibase/en/data.json"])}
    names = {
        code: {"label": entry["label"], "tags": entry.get("tags", []), "group": entry.get("group")}
        for code, entry in entries.items()
        if f"fluent/assets/{code}.webp" in contents and (entry.get("group") in GROUPS or code in EXTRA)
    }
    for subject in read_subjects():
        if f"fluent/assets/{subject.sprite}.webp" in contents:
            names.setdefault(subject.sprite, {"label": subject.name, "tags": list(subject.also), "group": None})
    beside = path.with_suffix(".partial")
    with zipfile.ZipFile(beside, "w", zipfile.ZIP_STORED) as archive:

        def put(name: str, data: bytes) -> None:
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)

        put("names.json", json.dumps(names, ensure_ascii=False, sort_keys=True).encode())
        put("LICENSE.emojibase-data.txt", contents["emojibase/LICENSE"])
        put("README.fluent-emoji-3d.md", contents["fluent/README.md"])
        for code in sorted(names):
            put(f"{code}.webp", contents[f"fluent/assets/{code}.webp"])
    beside.replace(path)
    return len(names)


def _fetch(folder: Path) -> list[Path]:
    """`npm pack` of both packages into the folder."""
    try:
        for package in PACKAGES:
            subprocess.run(["npm", "pack", "--silent", package], cwd=folder, check=True, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise TrainingError("npm is not installed.", "Install it, or name both packages' .tgz files.") from error
    except subprocess.CalledProcessError as error:
        raise TrainingError(f"npm could not fetch {PACKAGES}: {error.stderr.strip()}", "Is there a network?") from error
    return sorted(folder.glob("*.tgz"))
