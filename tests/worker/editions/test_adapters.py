"""worker.editions.adapters: LoRA files are found, held to their digests, and part of what the weights are called by."""

import hashlib
import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import write_edition
from tests.worker.editions.test_weights import safetensors
from worker.editions.adapters import Adapter, check_adapter, digest_with_adapters
from worker.editions.edition import load_edition
from worker.errors import EditionRefused, WeightsRefused

LORA = safetensors({"unet.conv_in.lora_A.weight": ("F32", [1], b"\0\0\x80?")})


def adapter_of(path: Path, content: bytes = LORA) -> Adapter:
    path.write_bytes(content)
    return Adapter(path, 1.0, hashlib.sha256(content).hexdigest())


def test_the_digest_is_that_of_the_weights_where_nothing_is_fused(tmp_path: Path) -> None:
    weights = "9f" * 32
    one = adapter_of(tmp_path / "one.safetensors")
    assert digest_with_adapters(weights, []) == weights
    line = f"{weights}\n{one.digest}  0.7\n".encode()
    assert digest_with_adapters(weights, [replace(one, strength=0.7)]) == hashlib.sha256(line).hexdigest()
    assert one.format() == f"one.safetensors {one.digest[:16]} × 1.0"


@pytest.mark.parametrize(
    ("content", "digest", "said"),
    [
        (None, "0" * 64, "should be a file and is not there"),
        (LORA, "0" * 64, "should have the SHA-256 0000.* and has"),
        (LORA[:-1], "0" * 64, "is cut short"),
        (pickle.dumps([1]), "0" * 64, "is a pickle, which is never loaded"),
        (safetensors({}), None, "holds no tensor"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_refused(
    content: bytes | None, digest: str | None, said: str, tmp_path: Path
) -> None:
    adapter = adapter_of(tmp_path / "one.safetensors", content or b"")
    if content is None:
        adapter.file.unlink()
    with pytest.raises(WeightsRefused, match=said):
        check_adapter(replace(adapter, digest=digest or adapter.digest))


def table(sha256: str, **changes: object) -> str:
    values = {"file": '"one.safetensors"', "strength": 0.7, "digest": f'"{sha256}"'} | changes
    return "\n[[adapters]]\n" + "".join(f"{name} = {value}\n" for name, value in values.items())


def test_an_edition_with_adapters_has_weights_of_its_own(tmp_path: Path, tiny_weights: Path) -> None:
    digest = hashlib.sha256(LORA).hexdigest()
    folder = write_edition(tmp_path, "bent", str(tiny_weights), lambda text: text + table(digest) * 2)
    edition = load_edition("bent", tmp_path)
    assert not edition.installed
    (folder / "one.safetensors").write_bytes(LORA)
    assert edition.installed
    assert edition.adapters == (Adapter(folder / "one.safetensors", 0.7, digest),) * 2
    plain = replace(edition, adapters=()).check()
    bent = edition.check()
    assert bent.digest == digest_with_adapters(plain.digest, edition.adapters) != plain.digest
    assert bent.bytes == plain.bytes + 2 * len(LORA)
    assert replace(edition, digest=bent.digest).check() == bent
    with pytest.raises(WeightsRefused, match="with their adapters should have the digest 0000"):
        replace(edition, digest="0" * 64).check()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"file": '"one.ckpt"'}, "adapters.file .* a .safetensors file, and is 'one.ckpt'"),
        ({"strength": 5}, "adapters.strength .* from -4 to 4, and is 5"),
        ({"strength": "nan"}, "adapters.strength .* from -4 to 4, and is nan"),
        ({"digest": '"abc"'}, "adapters.digest .* 64 hexadecimal digits, and is 'abc'"),
        ({"weight": 1}, r"\[adapters\] of .* unknown setting 'weight'"),
    ],
)
def test_what_is_wrong_in_the_table_is_said_with_its_name(
    changes: dict[str, object], said: str, tmp_path: Path, tiny_weights: Path
) -> None:
    write_edition(tmp_path, "broken", str(tiny_weights), lambda text: text + table("0" * 64, **changes))
    with pytest.raises(EditionRefused, match=said):
        load_edition("broken", tmp_path)


def test_one_table_in_place_of_an_array_is_refused(tmp_path: Path, tiny_weights: Path) -> None:
    write_edition(tmp_path, "broken", str(tiny_weights), lambda text: f"{text}\n[adapters]\nstrength = 1\n")
    with pytest.raises(EditionRefused, match=r"adapters .* each below a line \[\[adapters\]\]"):
        load_edition("broken", tmp_path)
