"""Makes the text encoder understand the lexicon: `python -m training.trainers.words` (torch, transformers).

Its tokenizer becomes a table (training.words.tokenizer): a word that leads to "dog" has the number of "dog", so that
the encoder reads the same as if that stood there. Nothing of what was trained changes: the layer, and the vectors of
the captions' own words, are as they were, and so is every prompt that has no other words. Only where a target is more
than one word ("fire truck"), or is said by a phrase ("at night"), one vector is trained that says the same to the
layer.
"""

from __future__ import annotations

import argparse
import copy
import functools
import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import CLIPTextConfig, CLIPTextModel

from training.export import class_of
from training.scenes.caption_source import CaptionSource
from training.scenes.captions import SKIES, with_article
from training.scenes.sprites import SpritePack, open_pack, plural_of, read_subjects
from training.scenes.vocabulary import caption_phrases, caption_tokens, caption_words
from training.trainers.text_encoder import END, START, WIDTH_OF_TEXT, is_table
from training.words.lexicon import Entry, Meaning, meanings, read_lexicon, write_shipped
from training.words.tokenizer import NOTHING, write_tokenizer
from worker.editions.weights import weights_digest
from worker.editions.words import FILE
from worker.engine.networks.text_encoder import open_tokenizer

EDITION = Path(__file__).parents[2] / "editions" / "pocket-1"
STEPS, SEED = 1500, 7
_NOUNS = {"space": "space", "plain": "white"}
_SKY_WORDS = {
    "day": "daylight",
    "dawn": "dawn",
    "sunset": "sunset",
    "night": "night",
    "storm": "storm",
    "overcast": "cloudy",
}
_WEATHER_WORDS = {"rainbow": "rainbow", "rain": "rain", "snowfall": "falling snow", "moon": "moon", "sun": "sunshine"}
_COUNTS = {"2": "two", "3": "three", "4": "four", "5": "five"}
DRAWS_NOTHING = Meaning("nothing", "-")


def canonical_words(meaning: Meaning) -> str:
    """The word or words of the captions that stand for a target; none for nothing."""
    kind, name, several = meaning
    if kind == "thing":
        return _plurals()[name] if several else name
    if kind == "place":
        return _NOUNS.get(name, name)
    if kind == "nothing":
        return ""
    return {"sky": _SKY_WORDS, "weather": _WEATHER_WORDS, "count": _COUNTS}.get(kind, {}).get(name, name)


@functools.cache
def _plurals() -> dict[str, str]:
    return {subject.name: subject.plural for subject in read_subjects()}


def own_words(tokenizer: Any) -> dict[str, int]:
    """The words and signs of the captions that are one token of a tokenizer, and its number."""
    words = caption_tokens(read_subjects())
    numbers = {word: tokenizer(word, add_special_tokens=False).input_ids for word in words}
    unread = tokenizer.unk_token_id if is_table(tokenizer) else None
    return {word: ids[0] for word, ids in numbers.items() if len(ids) == 1 and ids[0] != unread}


def load_teacher(edition: Path = EDITION) -> tuple[Any, Any]:
    """An edition's encoder in float32, which learns nothing, and its tokenizer."""
    teacher = CLIPTextModel.from_pretrained(str(edition / "text_encoder"), dtype=torch.float32, local_files_only=True)
    return teacher.eval().requires_grad_(False), open_tokenizer(edition / "tokenizer")


# -- the vectors of the targets ------------------------------------------------------------------------------------

BATCH, LENGTH, RATE = 16, 22, 1e-2
SLOT = -1
"""The place of a target's vector among token numbers."""


def is_learned(meaning: Meaning, own: dict[str, int]) -> bool:
    """Whether no word of the captions says a target by itself."""
    return canonical_words(meaning) not in own or meaning.kind in ("sky", "weather")


def train_vectors(
    teacher: Any, tokenizer: Any, targets: Sequence[Meaning], pack: SpritePack, steps: int = STEPS
) -> torch.Tensor:
    """One vector a target (N, 768) that says to the teacher's layer, as one token, what the words for it say.

    Found by Adam: in random captions, the rows of padding with the vector in the place of the words become those with
    the words. For nothing up to six of it, anywhere in a caption, become the caption without them.
    """
    start = teacher.get_input_embeddings().weight.detach()
    ids = [tokenizer(canonical_words(target), add_special_tokens=False).input_ids for target in targets]
    own = start[list(own_words(tokenizer).values())]
    learned = torch.nn.Parameter(torch.stack([start[i].mean(0) if i else own.mean(0) for i in ids]))
    optimizer = torch.optim.Adam([learned], RATE)
    rng = np.random.default_rng(SEED)
    source = CaptionSource(pack, SEED)
    end = tokenizer.eos_token_id
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = RATE * (1 - step / steps)
        rows: list[tuple[list[int], list[int], int]] = []
        while len(rows) < BATCH:
            n = int(rng.integers(len(targets)))
            canonical, said = _vector_row(targets[n], source, tokenizer, rng)
            if max(len(canonical), len(said)) < LENGTH:
                rows.append((canonical, said, n))
        wanted_of = torch.tensor([(canonical + [end] * LENGTH)[:LENGTH] for canonical, _, _ in rows])
        said_of = torch.tensor([(said + [end] * LENGTH)[:LENGTH] for _, said, _ in rows])
        vectors = learned[torch.tensor([n for _, _, n in rows])][:, None]  # (B, 1, 768)
        with torch.no_grad():
            wanted = teacher(input_ids=wanted_of).last_hidden_state
        states = _run(teacher, torch.where((said_of == SLOT)[..., None], vectors, start[said_of.clamp(min=0)]))
        ends = torch.tensor([max(len(canonical), len(said)) for canonical, said, _ in rows])
        mask = (torch.arange(LENGTH)[None] >= ends[:, None]).float()[..., None]
        loss = ((states - wanted).pow(2) * mask).sum() / (mask.sum() * WIDTH_OF_TEXT)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 100 == 0 or step == steps - 1:
            print(f"vectors: step {step}, loss {loss.item():.4f}", flush=True)
    return learned.detach()


def _vector_row(
    target: Meaning, source: CaptionSource, tokenizer: Any, rng: np.random.Generator
) -> tuple[list[int], list[int]]:
    """Token numbers of a canonical caption, and of the same with a slot where the target's words were."""

    def ids(words: str) -> list[int]:
        return list(tokenizer(words, add_special_tokens=False).input_ids) if words.strip() else []

    kind, name, several = target
    if kind == "nothing":
        canonical = ids(source.draw()[1].text)
        said = list(canonical)
        for _ in range(int(rng.integers(1, 7))):
            said.insert(int(rng.integers(0, len(said) + 1)), SLOT)
        return [tokenizer.bos_token_id, *canonical], [tokenizer.bos_token_id, *said]
    thing = with_article(_choose(rng, list(_plurals())))
    words, after = canonical_words(target), ""
    if kind == "thing":
        before = _choose(rng, ("two", "three", "") if several else ("a", "the", "", "a big"))
        after = _choose(rng, ("", "on a beach", "in the snow", "in a forest at night", "on a road"))
        canonical_before = before
    elif kind == "sky":
        canonical_before = f"{thing} {_choose(rng, ('', 'on a beach', 'in a forest', 'on a meadow'))}"
        before = f"{canonical_before} {_choose(rng, ('at', 'in a', 'on a', ''))}"
        words = _choose(rng, SKIES[name])
    else:
        lead = {"weather": ("in the", "with a", "under the")}.get(kind, ("in a", "on a", "in the"))
        canonical_before = before = f"{thing} {_choose(rng, lead)}"
    begin = [tokenizer.bos_token_id]
    return begin + ids(canonical_before) + ids(words) + ids(after), begin + ids(before) + [SLOT] + ids(after)


def _choose(rng: np.random.Generator, choices: Sequence[str]) -> str:
    return choices[int(rng.integers(len(choices)))]


def _run(teacher: Any, embedded: torch.Tensor) -> torch.Tensor:
    """The teacher's last hidden state of token vectors (B, L, 768), its own positions added."""
    length = embedded.shape[1]
    states = embedded + teacher.get_parameter("embeddings.position_embedding.weight")[:length]
    mask = torch.full((length, length), float("-inf")).triu(1)[None, None]  # each place sees those before it
    for layer in teacher.encoder.layers:
        found = layer(states, attention_mask=mask)
        states = found[0] if isinstance(found, tuple) else found
    final: torch.Tensor = teacher.final_layer_norm(states)
    return final


# -- all of it -----------------------------------------------------------------------------------------------------


def words_read(entries: Sequence[Entry]) -> dict[str, Meaning]:
    """What each word and phrase is read as: the lexicon, without what captions have in another sense.

    "A rainy day" is a sky, and "a big apple" an apple: of such a phrase each word counts, unless it is written by hand.
    "Face" is left out, for it has its own token, of "a lion face", and so is "hot-dog", which is read as "hot dog".
    """
    subjects = read_subjects()
    captions, tokens, grammar = caption_words(subjects), {*caption_tokens(subjects)}, caption_phrases()
    by_hand = {word for e in entries if e.how == "w" and " " in e.word for word in (e.word, plural_of(e.word))}
    by_hand -= {word for word in by_hand if any(f" {word} " in f" {phrase} " for phrase in grammar)}
    said = {_spaced(phrase) for phrase in (*captions, *grammar, *(plural_of(word) for word in captions))}
    read: dict[str, Meaning] = {}
    for word, meaning in meanings(entries).items():
        if word in captions:
            if (target := captions[word]) is not None:
                read[word] = Meaning(*target, meaning.several)
        elif word in by_hand or not (
            tokens.issuperset(word.split()) or _spaced(word) in said or not (word[0].isalnum() and word[-1].isalnum())
        ):
            read[word] = meaning
    return read


def _spaced(phrase: str) -> str:
    return re.sub("[-' ]+", " ", phrase)


def make_encoder(
    teacher: Any, tokenizer: Any, words: Mapping[str, Meaning], pack: SpritePack, steps: int = STEPS
) -> tuple[Any, dict[str, int]]:
    """The encoder that understands the words, and the numbers of its tokens: of words, phrases and special ones."""
    own, vectors = own_words(tokenizer), teacher.get_input_embeddings().weight.detach()
    captions = caption_words(read_subjects())
    asked = {word: m for word, m in words.items() if word not in own and not (" " in word and word in captions)}
    learned = sorted(m for m in {*asked.values(), DRAWS_NOTHING} if is_learned(m, own))
    numbers = {word: number for number, word in enumerate(own)}
    number_of = {m: len(own) + number for number, m in enumerate(learned)}
    numbers |= {w: number_of[m] if m in number_of else numbers[canonical_words(m)] for w, m in asked.items()}
    size = len(own) + len(learned) + 2
    numbers |= {NOTHING: number_of[DRAWS_NOTHING], START: size - 2, END: size - 1}
    rows = (
        vectors[list(own.values())],
        _vectors(teacher, tokenizer, asked, learned, pack, steps),
        vectors[[tokenizer.bos_token_id, tokenizer.eos_token_id]],
    )
    config = CLIPTextConfig.from_dict(
        teacher.config.to_dict()
        | {"vocab_size": size, "bos_token_id": size - 2, "eos_token_id": size - 1, "pad_token_id": size - 1}
    )
    encoder = CLIPTextModel(config)
    weights = teacher.state_dict()
    (name,) = (name for name in weights if name.endswith("token_embedding.weight"))
    encoder.load_state_dict(weights | {name: torch.cat(rows)})
    return encoder.eval(), numbers


def _vectors(
    teacher: Any, tokenizer: Any, asked: Mapping[str, Meaning], targets: Sequence[Meaning], pack: SpritePack, steps: int
) -> torch.Tensor:
    """The vectors of targets (N, 768): those that a teacher with such a tokenizer has, and what is missing, trained."""
    there: dict[Meaning, int] = {}
    if is_table(tokenizer):
        there[DRAWS_NOTHING] = tokenizer.unk_token_id
        for word, meaning in asked.items():
            ids = tokenizer(word, add_special_tokens=False).input_ids if meaning not in there else []
            if len(ids) == 1 and ids[0] != tokenizer.unk_token_id:
                there[meaning] = ids[0]
    missing = [target for target in targets if target not in there]
    trained = iter(train_vectors(teacher, tokenizer, missing, pack, steps) if missing else ())
    rows = teacher.get_input_embeddings().weight.detach()
    return torch.stack([rows[there[target]] if target in there else next(trained) for target in targets])


def export(encoder: Any, numbers: Mapping[str, int], words: Mapping[str, Meaning], edition: Path) -> int:
    """Write `text_encoder/` (float16), `tokenizer/`, words.tsv.gz and the digest into an edition; returns the bytes."""
    half = copy.deepcopy(encoder).to(torch.float16)
    shutil.rmtree(edition / "text_encoder", ignore_errors=True)
    half.save_pretrained(edition / "text_encoder", safe_serialization=True, max_shard_size="14MB")
    for file in (edition / "text_encoder").glob("*.safetensors"):
        file.chmod(0o644)
    _change(edition / "text_encoder" / "config.json", lambda facts: facts.pop("_name_or_path", None))
    write_tokenizer(edition / "tokenizer", numbers)
    _change(
        edition / "model_index.json",
        lambda facts: facts.update(tokenizer=["transformers", class_of(edition / "tokenizer")]),
    )
    digest, facts = weights_digest(edition), edition / "edition.toml"
    text = re.sub(r'^digest = "\w+"', f'digest = "{digest}"', facts.read_text(encoding="utf-8"), flags=re.M)
    facts.write_text(text, encoding="utf-8")
    write_shipped(words, digest, edition / FILE)
    return sum(file.stat().st_size for file in (edition / "text_encoder").glob("*.safetensors"))


def _change(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    facts = json.loads(path.read_text(encoding="utf-8"))
    change(facts)
    path.write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def main() -> None:
    """Makes the encoder, and writes an edition with it."""
    parser = argparse.ArgumentParser(description="Makes the text encoder understand the words of the lexicon.")
    parser.add_argument("--into", type=Path, required=True, help="the edition's folder; begun as the shipped one")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"of the targets' vectors ({STEPS})")
    arguments = parser.parse_args()
    words = words_read(read_lexicon())
    encoder, numbers = make_encoder(*load_teacher(), words, open_pack(), arguments.steps)
    if not arguments.into.exists():
        shutil.copytree(EDITION, arguments.into)
    size = export(encoder, numbers, words, arguments.into)
    print(f"{len(numbers):,} words and phrases, {encoder.config.vocab_size} tokens, {size / 1e6:.1f} MB of weights")


if __name__ == "__main__":
    main()
