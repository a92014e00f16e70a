"""What came back from the GPU becomes an edition that passes every check and prints."""

import pytest
import torch

from tests import ROOT
from training.errors import TrainingError
from training.presets import QUARTER_HOUR, REHEARSAL
from training.quarter_hour import averages
from training.quarter_hour.heads import Learner
from training.quarter_hour.home import bring, unet_of
from training.quarter_hour.networks import Unet
from training.quarter_hour.vectors import Vectors
from worker.catalogue.expansion import page_latents
from worker.catalogue.key import Key
from worker.editions.edition import load_edition
from worker.editions.weights import read_header
from worker.engine.engine import Engine

SHIPPED = ROOT / "editions" / "pocket-1"


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """The folder that came back from the real plan, untrained."""
    torch.manual_seed(0)
    plan, folder = QUARTER_HOUR, tmp_path_factory.mktemp("out")
    vectors = Vectors(Learner(Unet(plan.channels, plan.layers, plan.heads), 127), plan.averages)
    averages.save(folder, vectors, {"plan": plan.name, "seed": "1"})
    return folder


def test_the_real_plan_comes_back_in_four_files_below_14_mb(out):
    sizes = {path.name: path.stat().st_size for path in out.iterdir()}
    assert len(sizes) == 4 and max(sizes.values()) < 14_000_000
    assert sum(sizes.values()) == pytest.approx(2 * 24.4e6, rel=0.01)


def test_it_becomes_an_edition_that_prints(out, tmp_path):
    folder = tmp_path / "editions" / "home"
    size = bring(QUARTER_HOUR, out, 0.10, SHIPPED, folder)
    assert 35e6 < size < 36e6
    shards = sorted((folder / "unet").glob("*.safetensors"))
    assert len(shards) == 2 and all(path.stat().st_size < 14_000_000 for path in shards)
    edition = load_edition("home", tmp_path)
    assert edition.check().parameters["unet"] == 12_214_020
    expected, _ = averages.load(out, 0.10)
    assert expected.keys() == {name for path in shards for name in read_header(path)}
    threads = torch.get_num_threads()
    engine = Engine(edition, device="cpu")
    key = Key.pack(2, engine.embed("a dog"), page_latents("prompt", "a dog", 1))
    assert engine.print_page(key).pixels.shape == (416, 640, 3)
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


def test_weights_of_another_plan_are_refused(out):
    with pytest.raises(TrainingError, match="of another model"):
        unet_of(REHEARSAL, averages.load(out)[0])


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(TrainingError, match="There is no folder"):
        bring(QUARTER_HOUR, tmp_path / "none", None, SHIPPED, tmp_path / "edition")
