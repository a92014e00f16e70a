"""What is said, drawn and packed of a key is what the key holds."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from worker.catalogue.expansion import stacks_key
from worker.catalogue.inspection import from_npz, measure, plot, report, to_npz
from worker.catalogue.key import CONSTANTS, Key
from worker.errors import InputRefused, KeyRefused

KEY = stacks_key("borges", 1)


def test_the_facts_are_those_of_the_arrays() -> None:
    found = json.loads(json.dumps(measure(KEY)))
    assert (found["mark"], found["steps"]) == (KEY.mark, KEY.steps)
    stored = np.delete(KEY.embedding.ravel(), list(CONSTANTS)).astype(np.float64)
    assert found["embedding"]["smallest"] == stored.min()
    assert found["embedding"]["largest"] == stored.max()
    assert found["latents"]["mean"] == KEY.latents.astype(np.float64).mean()
    assert found["latents"]["deviation"] == KEY.latents.astype(np.float64).std()
    assert len(found["latents_channels"]) == 4


def test_normal_numbers_have_the_moments_of_normal_numbers() -> None:
    from worker.engine.start_latents import fixed_generator

    key = Key.pack(20, KEY.embedding, fixed_generator(0))
    found = measure(key)["latents"]
    assert abs(found["skewness"]) < 0.1
    assert abs(found["kurtosis"] - 3) < 0.2


def test_a_key_whose_values_are_all_the_same_has_facts_too() -> None:
    found = measure(Key(bytes(142_077)))
    assert found["latents"]["deviation"] == 0
    assert found["latents"]["kurtosis"] == 0


def test_the_report_names_everything() -> None:
    lines = report(KEY).splitlines()
    assert lines[0].split() == ["mark", KEY.mark]
    assert lines[1].split() == ["steps", str(KEY.steps)]
    assert lines[2].startswith("embedding  77 × 768")
    assert lines[3].startswith("latents    4 × 52 × 80")
    assert len(lines) == 8


def test_the_drawing_is_a_png_that_depends_on_the_key() -> None:
    first, second = plot(KEY), plot(Key(bytes(142_077)))
    with Image.open(io.BytesIO(first)) as image:
        assert image.format == "PNG"
        assert len(image.convert("RGB").getcolors(1_000_000)) > 1000
    assert first != second


def test_arrays_come_back_as_the_same_key(tmp_path: Path) -> None:
    path = tmp_path / "key.npz"
    path.write_bytes(to_npz(KEY))
    with np.load(path) as arrays:
        assert set(arrays) == {"steps", "embedding", "latents"}
        assert arrays["embedding"].shape == (77, 768)
    assert from_npz(path) == KEY


def test_arrays_in_float64_are_rounded_to_the_grid(tmp_path: Path) -> None:
    path = tmp_path / "key.npz"
    latents = KEY.latents.astype(np.float64) * (1 + 1e-6)
    np.savez_compressed(path, steps=np.int8(KEY.steps), embedding=KEY.embedding.astype(np.float64), latents=latents)
    assert from_npz(path) == KEY


@pytest.mark.parametrize(
    ("values", "error", "sentence"),
    [
        ({"steps": np.int64(7)}, KeyRefused, "even number of steps"),
        ({"steps": np.float64(8)}, KeyRefused, "one whole number"),
        ({"steps": np.array([8, 8])}, KeyRefused, "one whole number"),
        ({"latents": np.zeros((4, 64, 64))}, KeyRefused, r"shape \(4, 52, 80\); this one has \(4, 64, 64\)"),
        ({"latents": np.full((4, 52, 80), np.nan)}, KeyRefused, "finite"),
        ({"embedding": np.zeros((77, 768))}, KeyRefused, "flat position 19"),
        ({"embedding": np.zeros((77, 768), np.complex64)}, KeyRefused, "of floats"),
        ({"latents": np.array([None])}, InputRefused, "cannot be read"),
    ],
)
def test_arrays_that_are_no_key_are_refused(
    values: dict[str, np.ndarray], error: type[Exception], sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / "key.npz"
    arrays = {"steps": np.int64(KEY.steps), "embedding": KEY.embedding, "latents": KEY.latents}
    np.savez(path, **(arrays | values))
    with pytest.raises(error, match=sentence):
        from_npz(path)


def test_a_file_that_is_no_npz_or_lacks_an_array_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.npz"
    with pytest.raises(InputRefused, match="No such file"):
        from_npz(path)
    for content in (b"", b"PK\x03\x04", b"text"):
        path.write_bytes(content)
        with pytest.raises(InputRefused, match="cannot be read as an"):
            from_npz(path)
    np.savez(path, steps=np.int64(8))
    with pytest.raises(InputRefused, match="lacks embedding"):
        from_npz(path)


def test_an_npz_that_unpacks_to_megabytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, steps=np.zeros(10_000_000))
    assert path.stat().st_size < 100_000
    with pytest.raises(InputRefused, match="unpacks to more"):
        from_npz(path)
