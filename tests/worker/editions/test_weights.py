"""Weights are looked at before anything loads them; each way in which they can be wrong has its sentence."""

import hashlib
import json
import pickle
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import ROOT
from worker.editions import weights
from worker.editions.edition import load_edition
from worker.editions.weights import (
    FilePin,
    check_file,
    check_shapes,
    check_weights,
    deciding_files,
    missing_files,
    read_header,
    weights_digest,
)
from worker.errors import WeightsRefused

UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture
def folder(tiny_weights: Path, tmp_path: Path) -> Path:
    """A copy of the tiny weights that a test may spoil."""
    return Path(shutil.copytree(tiny_weights, tmp_path / "weights"))


def change(path: Path, **values: object) -> None:
    """Set values in a JSON file; None takes them out."""
    content = json.loads(path.read_text(encoding="utf-8")) | values
    path.write_text(json.dumps({name: value for name, value in content.items() if value is not None}), encoding="utf-8")


def safetensors(tensors: dict[str, tuple[str, list[int], bytes]]) -> bytes:
    header, data = {}, b""
    for name, (dtype, shape, content) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def test_sound_weights_are_described(tiny_weights: Path) -> None:
    facts = check_weights(tiny_weights)
    assert facts.digest == weights_digest(tiny_weights)
    assert facts.bytes == sum((tiny_weights / name).stat().st_size for name in deciding_files(tiny_weights))
    assert set(facts.parameters) == {"unet", "vae", "text_encoder"}
    assert not facts.safety_checker


def test_a_guide_belongs_to_the_weights_and_is_held_to_what_the_u_net_is(folder: Path) -> None:
    before = check_weights(folder)
    shutil.copytree(folder / "unet", folder / "guide")
    after = check_weights(folder)
    assert after.digest != before.digest
    assert after.parameters == {**before.parameters, "guide": before.parameters["unet"]}
    assert "guide/diffusion_pytorch_model.safetensors" in deciding_files(folder)
    change(folder / "guide/config.json", cross_attention_dim=1024)
    with pytest.raises(WeightsRefused, match=r"cross_attention_dim .*guide.* should be 768 and is 1024"):
        check_weights(folder)
    change(folder / "guide/config.json", cross_attention_dim=768)
    (folder / "guide/diffusion_pytorch_model.safetensors").unlink()
    assert missing_files(folder) == ["guide/diffusion_pytorch_model.safetensors"]


def test_the_digest_is_what_sha256sum_gives(tiny_weights: Path) -> None:
    names = deciding_files(tiny_weights)
    listed = subprocess.run(["sha256sum", *names], cwd=tiny_weights, capture_output=True, check=True).stdout
    assert weights_digest(tiny_weights) == hashlib.sha256(listed).hexdigest()
    assert UNET in names
    assert "model_index.json" not in names


def test_looking_at_weights_loads_no_model_library(tiny_weights: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from worker.editions.weights import check_weights;"
        f"check_weights(Path({str(tiny_weights)!r}));"
        "print(*{'torch', 'diffusers', 'transformers', 'safetensors'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("name", ["unet/config.json", UNET, "tokenizer/vocab.json", "scheduler/scheduler_config.json"])
def test_a_missing_file_is_named(name: str, folder: Path) -> None:
    (folder / name).unlink()
    with pytest.raises(WeightsRefused, match=f"should hold {name} and does not"):
        check_weights(folder)


@pytest.mark.parametrize("suffix", [".bin", ".ckpt", ".pt"])
def test_a_pickle_in_place_of_safetensors_is_refused(suffix: str, folder: Path) -> None:
    (folder / UNET).unlink()
    (folder / UNET).with_suffix(suffix).write_bytes(pickle.dumps({"weight": 1}))
    with pytest.raises(WeightsRefused, match="a pickle: it can run code"):
        check_weights(folder)


@pytest.mark.parametrize(
    "content", [pickle.dumps([1] * 1000, 2), pickle.dumps([1] * 1000, 4), b"PK\x03\x04" + b"\0" * 99]
)
def test_a_pickle_that_is_called_safetensors_is_refused(content: bytes, folder: Path) -> None:
    (folder / UNET).write_bytes(content)
    with pytest.raises(WeightsRefused, match="is a pickle, which is never loaded"):
        check_weights(folder)


def test_a_pickle_beside_safetensors_changes_nothing(folder: Path) -> None:
    before = check_weights(folder)
    (folder / UNET).with_suffix(".bin").write_bytes(pickle.dumps({"weight": 1}))
    assert check_weights(folder) == before


@pytest.mark.parametrize("place", [".", "unet", "text_encoder", "tokenizer"])
def test_code_beside_weights_is_refused(place: str, folder: Path) -> None:
    (folder / place / "pipeline.py").write_text("print('hello')", encoding="utf-8")
    with pytest.raises(WeightsRefused, match=r"brings code: .*pipeline\.py"):
        check_weights(folder)


def test_a_request_for_remote_code_is_refused(folder: Path) -> None:
    change(folder / "text_encoder/config.json", auto_map={"AutoModel": "evil.Model"})
    with pytest.raises(WeightsRefused, match="asks for remote code"):
        check_weights(folder)


@pytest.mark.parametrize(
    ("component", "named"),
    [
        ("unet", "UNet3DConditionModel"),
        ("unet", ["my_module", "Net"]),
        ("vae", "AsymmetricAutoencoderKL"),
        ("vae", None),
    ],
)
def test_a_class_that_is_not_expected_is_refused(component: str, named: object, folder: Path) -> None:
    change(folder / component / "config.json", _class_name=named)
    with pytest.raises(WeightsRefused, match=f"The class in .*{component}.* should be "):
        check_weights(folder)


@pytest.mark.parametrize(
    ("component", "values", "sentence"),
    [
        ("unet", {"cross_attention_dim": 1024}, "cross_attention_dim .* should be 768 and is 1024"),
        ("unet", {"in_channels": 9}, "in_channels .* should be 4 and is 9"),
        ("unet", {"addition_embed_type": "text_time"}, "addition_embed_type .* should be None"),
        ("text_encoder", {"hidden_size": 1024}, "hidden_size .* should be 768 and is 1024"),
        ("text_encoder", {"max_position_embeddings": 64}, "max_position_embeddings .* should be 77 and is 64"),
        ("vae", {"latent_channels": 16}, "latent_channels .* should be 4 and is 16"),
        ("vae", {"block_out_channels": [16, 16, 32]}, "scale .* should be 8 and is 4"),
    ],
)
def test_a_model_of_other_shapes_is_refused(
    component: str, values: dict[str, object], sentence: str, folder: Path
) -> None:
    change(folder / component / "config.json", **values)
    with pytest.raises(WeightsRefused, match=sentence):
        check_weights(folder)


def test_tensors_of_other_shapes_than_the_configuration_says_are_refused(folder: Path) -> None:
    content = safetensors(
        {
            "conv_in.weight": ("F16", [8, 9, 1, 1], b"\0" * 144),
            "conv_out.weight": ("F16", [4, 1, 1, 1], b"\0" * 8),
            "a.attn2.to_k.weight": ("F16", [1, 768], b"\0" * 1536),
        }
    )
    (folder / UNET).write_bytes(content)
    with pytest.raises(
        WeightsRefused, match=r"conv_in\.weight .* should have 4 on axis 1 and has the shape \(8, 9, 1, 1\)"
    ):
        check_weights(folder)


@pytest.mark.parametrize("cut", [1, 1000, 5_000_000])
def test_a_truncated_file_is_refused_with_both_lengths(cut: int, folder: Path) -> None:
    path = folder / "text_encoder/model.safetensors"
    whole = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(whole - cut)
    with pytest.raises(WeightsRefused, match=f"cut short: it should have {whole:,} bytes and has {whole - cut:,}"):
        check_weights(folder)


def test_a_file_that_goes_on_after_its_end_is_refused(folder: Path) -> None:
    with (folder / UNET).open("ab") as file:
        file.write(b"more")
    with pytest.raises(WeightsRefused, match="goes on after its end"):
        check_weights(folder)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"abc",
        struct.pack("<Q", 1 << 60),
        struct.pack("<Q", 8) + b"not JSON",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 10) + b'{"a": "b"}',
        safetensors({"a": ("F32", [2], b"\0" * 4)}),
        safetensors({"a": ("F99", [2], b"\0" * 4)}),
    ],
)
def test_what_is_no_safetensors_file_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsRefused):
        read_header(path)


@given(st.binary(max_size=300), st.integers(0, 300))
def test_any_header_gives_tensors_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, text: bytes, size: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    path.write_bytes(struct.pack("<Q", size) + text)
    try:
        read_header(path)
    except WeightsRefused:
        return
    assert size <= len(text)


def shard(folder: Path, spoil: Callable[[dict[str, str]], object] = lambda weight_map: None) -> None:
    """Split the text encoder into two files with an index, as diffusers and transformers do."""
    path = folder / "text_encoder/model.safetensors"
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    weight_map = {}
    for number, names in enumerate((sorted(header)[::2], sorted(header)[1::2]), start=1):
        tensors = {}
        for name in names:
            begin, end = header[name]["data_offsets"]
            tensors[name] = (header[name]["dtype"], header[name]["shape"], data[8 + length :][begin:end])
        part = f"model-{number:05d}-of-00002.safetensors"
        path.with_name(part).write_bytes(safetensors(tensors))
        weight_map |= dict.fromkeys(names, part)
    path.unlink()
    spoil(weight_map)
    index = {"metadata": {}, "weight_map": weight_map}
    path.with_name("model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")


def test_shards_are_as_good_as_one_file(folder: Path, tiny_weights: Path) -> None:
    whole = check_weights(tiny_weights)
    shard(folder)
    assert check_weights(folder).parameters == whole.parameters
    assert "text_encoder/model-00002-of-00002.safetensors" in deciding_files(folder)


def test_a_missing_shard_is_named(folder: Path) -> None:
    shard(folder)
    (folder / "text_encoder/model-00002-of-00002.safetensors").unlink()
    with pytest.raises(WeightsRefused, match=r"should hold model-00002-of-00002\.safetensors"):
        check_weights(folder)


def test_a_shard_elsewhere_is_never_read(folder: Path) -> None:
    shard(folder, lambda weight_map: weight_map.update({min(weight_map): "../../evil.safetensors"}))
    with pytest.raises(WeightsRefused, match="should name safetensors files"):
        check_weights(folder)


def test_a_tensor_that_no_shard_holds_is_named(folder: Path) -> None:
    shard(folder, lambda weight_map: weight_map.update({"lost": "model-00001-of-00002.safetensors"}))
    with pytest.raises(WeightsRefused, match="should hold the tensor lost"):
        check_weights(folder)


def test_one_bit_changes_the_digest_although_the_cache_was_warm(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "digests.json"
    before = weights_digest(folder, cache)
    assert weights_digest(folder, cache) == before
    with (folder / UNET).open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)[0]
        file.seek(-1, 2)
        file.write(bytes([last ^ 1]))
    assert weights_digest(folder, cache) != before


def test_an_unchanged_file_is_hashed_once(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "digests.json"
    before = weights_digest(folder, cache)

    def hash_again(path: Path) -> str:
        raise AssertionError(f"{path} was hashed again")

    monkeypatch.setattr(weights, "_sha256", hash_again)
    assert weights_digest(folder, cache) == before


@pytest.mark.parametrize("content", ["", "[]", '{"x": 1}', "not JSON"])
def test_a_spoilt_cache_only_costs_time(content: str, folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "digests.json"
    cache.write_text(content, encoding="utf-8")
    assert weights_digest(folder, cache) == weights_digest(folder)


def test_a_pinned_file_is_compared_by_size_and_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"hello\n")
    git = subprocess.run(["git", "hash-object", str(path)], capture_output=True, text=True, check=True).stdout.strip()
    check_file(path, FilePin(6, git=git))
    check_file(path, FilePin(6, sha256=hashlib.sha256(b"hello\n").hexdigest()))
    with pytest.raises(WeightsRefused, match="should have 7 bytes and has 6"):
        check_file(path, FilePin(7, git=git))
    with pytest.raises(WeightsRefused, match="git blob name 0000"):
        check_file(path, FilePin(6, git="0" * 40))
    with pytest.raises(WeightsRefused, match="SHA-256 0000"):
        check_file(path, FilePin(6, sha256="0" * 64))


SD15 = ROOT / "tests" / "sd-1.5"


def test_the_pins_of_sd_1_5_are_those_of_its_files(tmp_path: Path) -> None:
    """`tests/sd-1.5` holds its small files byte for byte, written anew from memory until the hub's names agreed."""
    hub = load_edition("sd-1.5", tmp_path).hub
    assert hub is not None
    names = [str(path.relative_to(SD15)) for path in SD15.rglob("*.json")]
    assert len(names) == 8
    for name in names:
        check_file(SD15 / name, hub.files[name])


def test_the_configuration_of_sd_1_5_has_the_shapes_of_a_key() -> None:
    configs = {name: json.loads((SD15 / name / "config.json").read_text()) for name in ("unet", "vae", "text_encoder")}
    check_shapes(SD15, configs)
    assert weights._config(SD15, "text_encoder")["_class_name"] == "CLIPTextModel"
