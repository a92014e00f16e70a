"""Making an edition beside its place: what it holds, what is refused, and that nothing stays of what is given up."""

import dataclasses
import hashlib
import json
import math
import shutil
import struct
import tomllib
from pathlib import Path

import pytest

from tests.conftest import mounted_disk
from worker.editions.adding import (
    CONFIGURATION,
    LEXICON,
    Facts,
    Piece,
    Staging,
    configuration_files,
    copy_configuration,
    refuse_other_numbers,
    remember_digests,
    set_prediction,
    staged,
    tensors_of,
    write_component,
    write_edition,
    write_tokenizer,
)
from worker.editions.edition import SHIPPED, load_edition, read_edition
from worker.editions.hub import Listing
from worker.editions.layout import choose, names_in
from worker.editions.weights import FilePin, git_blob_name, read_header, read_metadata, weights_digest
from worker.errors import InputRefused, WeightsRefused

UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture
def staging(tmp_path: Path) -> Staging:
    folder = tmp_path / "editions" / ".mine.adding"
    folder.mkdir(parents=True)
    return Staging("mine", tmp_path, folder, tmp_path / "weights" / ".mine.adding")


def pieces_of(folder: Path, component: str) -> list[Piece]:
    files = choose(names_in(folder), None, "here").files
    return [Piece(name, t.shape, t, path) for name, (t, path) in tensors_of(folder, files, component).items()]


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# -- what belongs to every checkpoint


def test_the_configurations_and_the_tokenizer_are_those_that_sd_1_5_pins(tmp_path: Path) -> None:
    names = configuration_files(CONFIGURATION)
    copy_configuration(CONFIGURATION, tmp_path, names)
    write_tokenizer(tmp_path / "tokenizer")
    hub = load_edition("sd-1.5", tmp_path).hub
    assert hub is not None
    pinned = {name: pin.git for name, pin in hub.files.items() if name in {*names, *everything(tmp_path)}}
    assert len(pinned) == 8
    assert {name: git_blob_name(tmp_path / name) for name in pinned} == pinned


def test_the_general_lexicon_is_a_whole_one(staging: Staging) -> None:
    write_edition(staging, Facts('A "title"\n', "A model.", "mit"), "0" * 64, None)
    edition = read_edition(staging.folder, staging.data)
    assert edition.lexicon == load_edition("sd-1.5", staging.data).lexicon
    assert len(edition.lexicon.subjects) > 100
    assert LEXICON.parent == SHIPPED / "sd-1.5"
    assert edition.title == 'A "title"'
    assert (edition.weights, edition.digest, edition.default_steps) == (staging.folder, "0" * 64, 20)


def test_an_edition_of_a_hub_pins_its_files_under_plain_names(staging: Staging) -> None:
    half = "unet/diffusion_pytorch_model.fp16.safetensors"
    pins = {UNET: FilePin(7, sha256="1" * 64, source=half), "unet/config.json": FilePin(3, git="2" * 40)}
    listing = Listing("owner/tiny", "3" * 40, "mit", pins)
    write_edition(staging, Facts("T", "S", "mit"), "0" * 64, (listing, pins))
    hub = read_edition(staging.folder, staging.data).hub
    assert hub is not None
    assert (hub.name, hub.revision, hub.files) == ("owner/tiny", "3" * 40, pins)


def test_what_a_model_predicts_is_written_into_its_scheduler(tmp_path: Path) -> None:
    copy_configuration(CONFIGURATION, tmp_path, ["scheduler/scheduler_config.json"])
    path = tmp_path / "scheduler" / "scheduler_config.json"
    before = json.loads(path.read_text())
    set_prediction(tmp_path, "v_prediction", False)
    assert json.loads(path.read_text()) == before | {"prediction_type": "v_prediction"}
    set_prediction(tmp_path, "v_prediction", True)
    zero = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    assert json.loads(path.read_text()) == before | {"prediction_type": "v_prediction"} | zero


# -- tensors


def test_a_component_is_written_with_its_numbers_and_its_digest(tiny_weights: Path, staging: Staging) -> None:
    pieces = pieces_of(tiny_weights, "unet")
    counts: list[int] = []
    write_component(staging, "unet", pieces, counts.append)
    written, source = staging.folder / UNET, tiny_weights / UNET
    found, expected = read_header(written), read_header(source)
    assert found == expected
    assert read_metadata(written) == {"format": "pt"}
    for name, tensor in found.items():
        one, other = (
            path.read_bytes()[t.place :][: t.bytes] for path, t in ((written, tensor), (source, expected[name]))
        )
        assert one == other
    assert sum(counts) == sum(piece.tensor.bytes for piece in pieces)
    assert staging.digests == {UNET: hashlib.sha256(written.read_bytes()).hexdigest()}
    assert min(tensor.place for tensor in found.values()) % 8 == 0


def test_the_digest_of_weights_that_were_just_written_is_not_worked_out_again(
    tiny_weights: Path, staging: Staging, tmp_path: Path
) -> None:
    write_component(staging, "unet", pieces_of(tiny_weights, "unet"), abs)
    expected = weights_digest(staging.folder)
    cache = tmp_path / "digests.json"
    remember_digests(cache, staging.folder, staging.digests)
    (name,) = json.loads(cache.read_text())
    assert name == str(staging.folder / UNET)
    assert weights_digest(staging.folder, cache) == expected
    remember_digests(cache, staging.folder, {UNET: "f" * 64})  # it is the cache that is believed
    assert weights_digest(staging.folder, cache) != expected


@pytest.mark.parametrize("dtype", ["F16", "BF16", "F32", "F64"])
def test_numbers_that_are_not_finite_are_refused(dtype: str, staging: Staging, tmp_path: Path) -> None:
    form = {"F16": "<e", "F32": "<f", "F64": "<d"}
    for value in (math.nan, math.inf, -math.inf, 6.5e4):
        data = struct.pack("<f", value)[2:] if dtype == "BF16" else struct.pack(form[dtype], value)
        text = json.dumps({"w": {"dtype": dtype, "shape": [2], "data_offsets": [0, 2 * len(data)]}}).encode()
        path = tmp_path / "one.safetensors"
        path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(len(data)) + data)
        piece = Piece("w", (2,), read_header(path)["w"], path)
        shutil.rmtree(staging.folder / "unet", ignore_errors=True)
        if math.isfinite(value):
            write_component(staging, "unet", [piece], abs)
            continue
        with pytest.raises(WeightsRefused, match=r"The tensor w in .* should hold numbers .* not finite"):
            write_component(staging, "unet", [piece], abs)


def test_quantised_numbers_are_refused(tiny_weights: Path) -> None:
    piece = pieces_of(tiny_weights, "vae")[0]
    refuse_other_numbers([piece])
    eight = dataclasses.replace(piece, tensor=dataclasses.replace(piece.tensor, dtype="F8_E4M3"))
    with pytest.raises(WeightsRefused, match=r"should be of float16, .* and is of F8_E4M3"):
        refuse_other_numbers([piece, eight])


def test_a_source_that_shrinks_meanwhile_is_refused(tiny_weights: Path, staging: Staging, tmp_path: Path) -> None:
    path = Path(shutil.copy(tiny_weights / UNET, tmp_path / "copy.safetensors"))
    pieces = [Piece(name, tensor.shape, tensor, path) for name, tensor in read_header(path).items()]
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 10)
    with pytest.raises(WeightsRefused, match=r"should hold .* bytes more of .* and ended"):
        write_component(staging, "unet", pieces, abs)


def test_shards_that_are_not_what_their_index_says_are_refused(tiny_weights: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_weights / "vae", tmp_path / "vae")
    shard = tmp_path / "vae" / "diffusion_pytorch_model-00001-of-00001.safetensors"
    (tmp_path / "vae" / "diffusion_pytorch_model.safetensors").rename(shard)
    index = "vae/diffusion_pytorch_model.safetensors.index.json"
    files = {index: index, f"vae/{shard.name}": f"vae/{shard.name}"}
    places = dict.fromkeys(read_header(shard), shard.name)
    (tmp_path / index).write_text(json.dumps({"weight_map": places}))
    assert tensors_of(tmp_path, files, "vae").keys() == places.keys()
    one = min(places)
    for weight_map, said in (
        (places | {"more": shard.name}, "should hold the tensor more and do not"),
        ({name: shard.name for name in places if name != one}, f"holds the tensor {one}, which its index does not"),
        (places | {one: "../other.safetensors"}, "should hold ../other.safetensors, as its index says"),
        ([], "should map tensors to files in weight_map"),
    ):
        (tmp_path / index).write_text(json.dumps({"weight_map": weight_map}))
        with pytest.raises(WeightsRefused, match=said):
            tensors_of(tmp_path, files, "vae")


# -- beside its place


@pytest.mark.parametrize("slug", ["Mine", "my model", "..", "key", "-a", "a" * 33, ""])
def test_a_name_that_no_edition_can_have_is_refused(slug: str, tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="name should be 1–32"), staged(slug, tmp_path):
        pass
    assert everything(tmp_path) == []


def test_a_name_that_is_taken_is_refused(tiny_data: Path) -> None:
    before = everything(tiny_data)
    for slug in ("tiny", "pocket-1"):
        with pytest.raises(InputRefused, match=f"The name {slug} is taken"), staged(slug, tiny_data):
            pass
    assert everything(tiny_data) == before


@pytest.mark.parametrize("end", [WeightsRefused("no"), KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_whatever_ends_it_early_leaves_nothing(end: BaseException, tmp_path: Path) -> None:
    with pytest.raises(type(end)), staged("mine", tmp_path / "data") as staging:
        (staging.folder / "unet").mkdir()
        (staging.folder / "unet" / "config.json").write_text("{}")
        staging.fetched.mkdir(parents=True)
        (staging.fetched / "large").write_bytes(b"x")
        raise end
    assert everything(tmp_path) == []


def test_what_is_settled_is_there_as_a_whole_and_what_a_killed_process_left_is_gone(tmp_path: Path) -> None:
    left = tmp_path / "editions" / ".mine.adding" / "unet"
    left.mkdir(parents=True)
    (left / "config.json").write_text("old")
    with staged("mine", tmp_path) as staging:
        assert everything(staging.folder) == []
        (staging.folder / "edition.toml").write_text("new")
        staging.fetched.mkdir(parents=True)
        (staging.fetched / "large").write_bytes(b"x")
        assert staging.settle() == tmp_path / "editions" / "mine"
    assert everything(tmp_path) == [
        *("editions", "editions/mine", "editions/mine/edition.toml", "weights", "weights/mine", "weights/mine/large")
    ]


def test_two_commands_do_not_add_the_same_edition_at_once(tmp_path: Path) -> None:
    with staged("mine", tmp_path) as first:
        with pytest.raises(InputRefused, match="Another command is adding the edition mine"), staged("mine", tmp_path):
            pass
        assert first.folder.is_dir()


def test_a_disk_that_fills_up_half_way_leaves_nothing(tiny_weights: Path, tmp_path: Path) -> None:
    pieces = pieces_of(tiny_weights, "unet")
    with mounted_disk(tmp_path / "disk", 1000) as disk:
        with pytest.raises(OSError, match="No space left"), staged("mine", disk / "data") as staging:
            write_component(staging, "unet", pieces, abs)
        assert everything(disk) == []


def test_the_toml_that_is_written_says_what_it_is(staging: Staging) -> None:
    write_edition(staging, Facts("T", "S", "mit", solver="ddim", guidance=1.0, default_steps=4), "0" * 64, None)
    text = (staging.folder / "edition.toml").read_text()
    assert text.startswith("# Written by `manage.py add_edition`.")
    document = tomllib.loads(text)
    assert document["solver"] == "ddim"
    assert (document["guidance"], document["default_steps"], document["step_limit"]) == (1.0, 4, 128)
