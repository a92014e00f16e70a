"""Teaches the text encoder other words for what it knows: `python -m training.trainers.words` (torch, transformers).

The shipped encoder is the teacher and stays as it is; the U-Net goes on reading its space. The student is the teacher's
layer with one more below it, which has to turn the pieces of "hound" into what "dog" is to the layer above. It is
taught in two stages. `join` teaches that layer alone, on words in a row: each word's last piece must leave it as the
vector of its target ("a beach" of captions as itself), which is cheap and shows it every word many times. `distil`
teaches all of it on pairs of captions: the student's states of the free one must be the teacher's of the canonical
one, in every row. Both stages go on where their checkpoint stands.
"""

from __future__ import annotations

import argparse
import copy
import functools
import json
import math
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from transformers import CLIPTextConfig, CLIPTextModel

from training import runs
from training.configs import FIXED
from training.errors import TrainingError
from training.scenes.caption_source import CaptionSource
from training.scenes.captions import SKIES, with_article
from training.scenes.sprites import SpritePack, open_pack, plural_of, read_subjects
from training.trainers import text_encoder as text
from training.trainers.text_encoder import ROWS, WIDTH_OF_TEXT, open_tokenizer
from training.words.lexicon import Entry, caption_words, read_lexicon
from training.words.pairs import Pair, PairSource, held_out_word, share
from training.words.pieces import extend
from worker.editions.weights import weights_digest

HERE = Path(__file__).parent
EDITION = HERE.parents[1] / "editions" / "pocket-1"
FOLDER = HERE.parent / "runs" / "words"
SHARPNESS = 8.0  # what a squared distance is multiplied with before the targets compete
Key = tuple[str, str, bool]  # kind, name, several
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
NOTHING: Key = ("nothing", "-", False)


@dataclass(frozen=True)
class WordsPlan:
    """How long the student learns, and from how much at once."""

    pieces: int = 4096
    vector_steps: int = 240
    join_steps: int = 3000
    join_batch: int = 40
    join_tokens: int = 32
    join_rate: float = 1.5e-3
    distil_steps: int = 4000
    distil_batch: int = 32
    distil_tokens: int = 24
    join_share: float = 0.2  # of the loss of `join` in `distil`: it shows ten times as many words
    distil_rate: float = 5e-4
    report: int = 50
    keep_every: int = 100
    seed: int = 7


def key_of(entry: Entry, several: bool = False) -> Key:
    """What a word's vector is the vector of."""
    return (entry.kind, entry.name, several and entry.kind == "thing")


def canonical_words(key: Key) -> str:
    """The word or words of the captions that stand for a target; none for nothing."""
    kind, name, several = key
    if kind == "thing":
        return next(s.plural if several else s.name for s in read_subjects() if s.name == name)
    if kind == "place":
        return _NOUNS.get(name, name)
    if kind == "nothing":
        return ""
    return {"sky": _SKY_WORDS, "weather": _WEATHER_WORDS, "count": _COUNTS}.get(kind, {}).get(name, name)


# -- the student -------------------------------------------------------------------------------------------------


def load_teacher() -> tuple[Any, Any]:
    """The shipped encoder in float32, which learns nothing, and its tokenizer."""
    teacher = CLIPTextModel.from_pretrained(str(EDITION / "text_encoder"), dtype=torch.float32, local_files_only=True)
    return teacher.eval().requires_grad_(False), open_tokenizer(EDITION / "tokenizer")


def make_words_tokenizer(entries: Iterable[Entry], folder: Path, pieces: int) -> None:
    """The student's tokenizer: the captions' words as they were, the other pieces for the lexicon's and plurals."""
    known = {part for word in caption_words(read_subjects()) for part in word.split()}
    weights: dict[str, float] = {}
    for entry in entries:
        value = 10 ** (0.75 * min(entry.weight, 6.0)) * (3.0 if entry.how in "we" else 1.0)
        for part in entry.word.replace("-", " ").replace("'", " ").split():
            weights[part] = max(weights.get(part, 0.0), value * (0.3 if " " in entry.word else 1.0))
        if entry.kind == "thing" and entry.language == "en" and entry.word.isalpha():
            weights.setdefault(plural_of(entry.word), 0.25 * value)
    extend(EDITION / "tokenizer", folder, sorted(known), weights, pieces)


def new_student(teacher: Any, old: Any, new: Any) -> Any:
    """Two layers: the upper one and the known pieces' vectors are the teacher's, the lower one changes nothing yet."""
    config = CLIPTextConfig.from_dict(
        teacher.config.to_dict()
        | {"num_hidden_layers": 2, "vocab_size": len(new), "bos_token_id": new.bos_token_id,
           "eos_token_id": new.eos_token_id, "pad_token_id": new.pad_token_id}
    )  # fmt: skip
    student = CLIPTextModel(config)
    weights = student.state_dict()
    for name, value in teacher.state_dict().items():
        if "layers.0." in name:
            weights[name.replace("layers.0.", "layers.1.")] = value.clone()
        elif "token_embedding" not in name:
            weights[name] = value.clone()
    for name in weights:
        if "layers.0." in name and ("out_proj" in name or "fc2" in name):
            weights[name] = torch.zeros_like(weights[name])
    vectors, known = weights[_name(weights, "token_embedding.weight")], old.get_vocab()
    for piece, number in new.get_vocab().items():
        vectors[number] = teacher.get_input_embeddings().weight[known[piece]] if piece in known else 0.0
    student.load_state_dict(weights)
    return student


def _name(weights: dict[str, torch.Tensor], end: str) -> str:
    return next(name for name in weights if name.endswith(end))


# -- the vectors of the targets ------------------------------------------------------------------------------------


def all_keys(entries: Iterable[Entry]) -> list[Key]:
    """Every target of the lexicon, things alone and several."""
    keys = {key_of(e, several) for e in entries for several in (False, True)}
    return sorted(keys | {NOTHING})


def train_vectors(plan: WordsPlan, teacher: Any, tokenizer: Any, keys: list[Key], pack: SpritePack) -> torch.Tensor:
    """One vector a target (N, 768) that says to the teacher's layer, as a single token, what the words for it say.

    A target of one token has that token's; for those of two, for skies and for nothing it is found by descent.
    """
    start = teacher.get_input_embeddings().weight.detach()
    ids = [tokenizer(canonical_words(k), add_special_tokens=False).input_ids for k in keys]
    vectors = torch.stack([start[i].mean(0) if i else start[: tokenizer.bos_token_id].mean(0) for i in ids])
    free = [n for n, (k, i) in enumerate(zip(keys, ids, strict=True)) if len(i) != 1 or k[0] in ("sky", "weather")]
    learned = torch.nn.Parameter(vectors[free].clone())
    optimizer = torch.optim.Adam([learned], 1e-2)
    rng = np.random.default_rng(plan.seed)
    source = CaptionSource(pack, plan.seed)
    end = tokenizer.eos_token_id
    length = 22
    for step in range(plan.vector_steps):
        rows: list[tuple[list[int], list[int], int, int]] = []
        for group in optimizer.param_groups:
            group["lr"] = 1e-2 * (1 - step / plan.vector_steps)
        while len(rows) < 16:
            n = int(rng.integers(len(free)))
            row = _vector_row(keys[free[n]], n, source, tokenizer, rng)
            if max(len(row[0]), len(row[1])) < length:
                rows.append(row)
        canonical = torch.tensor([(a + [end] * length)[:length] for a, *_ in rows])
        said = torch.tensor([(b + [end] * length)[:length] for _, b, _, _ in rows])
        with torch.no_grad():
            wanted = teacher(input_ids=canonical).last_hidden_state
        embedded = start[said].clone()
        places = torch.tensor([at for *_, at in rows])
        numbers = torch.tensor([n for _, _, n, _ in rows])
        embedded = embedded.index_put((torch.arange(len(rows)), places), learned[numbers])
        states = _run(teacher, embedded)
        ends = torch.tensor([max(len(a), len(b)) for a, b, *_ in rows])
        mask = (torch.arange(length)[None] >= ends[:, None]).float()[..., None]
        loss = ((states - wanted).pow(2) * mask).sum() / (mask.sum() * WIDTH_OF_TEXT)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 100 == 0 or step == plan.vector_steps - 1:
            print(f"vectors: step {step}, loss {loss.item():.4f}", flush=True)
    vectors[free] = learned.detach()
    return vectors


def _vector_row(
    key: Key, number: int, source: CaptionSource, tokenizer: Any, rng: np.random.Generator
) -> tuple[list[int], list[int], int, int]:
    """Token numbers of a canonical caption, of the same with one token in the target's place, its number and place."""
    kind, name, several = key
    words = canonical_words(key)
    if kind == "nothing":
        canonical = source.draw()[1].text.split()
        at = int(rng.integers(0, len(canonical)))
        before, after, words = " ".join(canonical[:at]), " ".join(canonical[at:]), ""
        said = (before, after)
    elif kind == "thing":
        where = (
            ""
            if rng.random() < 0.3
            else f"{_choose(rng, ('on a beach', 'in the snow', 'in a forest at night', 'on a road'))}"
        )
        article = _choose(rng, ("two", "three", "")) if several else _choose(rng, ("a", "the", "", "a big"))
        before, after, said = article, where, (article, where)
    elif kind == "sky":
        thing = with_article(_choose(rng, [s.name for s in read_subjects()]))
        before, after, words = (
            f"{thing} {_choose(rng, ('', 'on a beach', 'in a forest', 'on a meadow'))}",
            "",
            _choose(rng, SKIES[name]),
        )
        said = (f"{before} {_choose(rng, ('at', 'in a', 'on a', ''))}", "")
    else:
        thing = with_article(_choose(rng, [s.name for s in read_subjects()]))
        lead = {"weather": ("in the", "with a", "under the")}.get(kind, ("in a", "on a", "in the"))
        chosen = _choose(rng, lead)
        before, after, said = f"{thing} {chosen}", "", (f"{thing} {chosen}", "")

    def ids(part: str) -> list[int]:
        return list(tokenizer(part, add_special_tokens=False).input_ids) if part.strip() else []

    canonical_ids = [tokenizer.bos_token_id, *ids(before), *ids(words), *ids(after)]
    said_ids = [tokenizer.bos_token_id, *ids(said[0]), 0, *ids(said[1])]
    return canonical_ids, said_ids, number, 1 + len(ids(said[0]))


def _choose(rng: np.random.Generator, choices: Any) -> str:
    return str(choices[int(rng.integers(len(choices)))])


def _run(teacher: Any, embedded: torch.Tensor) -> torch.Tensor:
    """The teacher's last hidden state of token vectors (B, L, 768), its own positions added."""
    positions = teacher.get_parameter("embeddings.position_embedding.weight")[: embedded.shape[1]]
    states = lower_layers(teacher, embedded + positions, len(teacher.encoder.layers))
    final: torch.Tensor = teacher.final_layer_norm(states)
    return final


def lower_layers(encoder: Any, states: torch.Tensor, number: int) -> torch.Tensor:
    """The first `number` layers of an encoder over (B, L, 768), each place seeing itself and those before it."""
    length = states.shape[1]
    mask = torch.full((length, length), float("-inf")).triu(1)[None, None]  # (1, 1, L, L)
    for layer in encoder.encoder.layers[:number]:
        found = layer(states, attention_mask=mask)
        states = found[0] if isinstance(found, tuple) else found
    return states


# -- the stage "join" ----------------------------------------------------------------------------------------------


class Rows:
    """Words in a row: token numbers and for each place the target's number.

    −1 where nothing is asked of it (the words of a phrase before its last), −2 for a caption's own words, which are
    their own targets, −3 for the pieces of a word before its last, which had best say nothing yet.
    """

    def __init__(self, entries: Iterable[Entry], keys: list[Key], tokenizer: Any, seed: int) -> None:
        self.numbers = {key: n for n, key in enumerate(keys)}
        self.tokenizer = tokenizer
        self.known = sorted(caption_words(read_subjects()))
        forms: list[tuple[str, Key, float]] = []
        for entry in entries:
            if held_out_word(entry) or entry.word in self.known:
                continue
            forms.append((entry.word, key_of(entry), share(entry)))
            if entry.kind == "thing" and entry.language == "en" and not entry.word.endswith("s"):
                forms.append((plural_of(entry.word), key_of(entry, True), 0.25 * share(entry)))
        self.ids = [list(i) for i in tokenizer([w for w, *_ in forms], add_special_tokens=False).input_ids]
        self.own = [list(i) for i in tokenizer(self.known, add_special_tokens=False).input_ids]
        self.targets = [self.numbers[k] for _, k, _ in forms]
        self.phrase = [" " in w for w, *_ in forms]
        weights = np.array([s for *_, s in forms])
        self.sums = np.cumsum(weights / weights.sum())
        self.seed = seed

    def draw(self, step: int, batch: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Token numbers and targets (B, L) of one step."""
        rng = np.random.default_rng((self.seed, step))
        ids = np.full((batch, length), self.tokenizer.eos_token_id, np.int64)
        targets = np.full((batch, length), -2, np.int64)
        drawn = iter(np.searchsorted(self.sums, rng.random(batch * length)).tolist())
        for row in range(batch):
            ids[row, 0], at = self.tokenizer.bos_token_id, 1
            while at < length - 1:
                if rng.random() < 0.18:
                    pieces = self.own[int(rng.integers(len(self.own)))]
                    asked = [-2] * len(pieces)
                else:
                    n = min(next(drawn), len(self.ids) - 1)
                    pieces = self.ids[n]
                    before = -1 if self.phrase[n] else -3
                    asked = [before] * (len(pieces) - 1) + [self.targets[n]]
                if at + len(pieces) > length - 1:
                    break
                ids[row, at : at + len(pieces)], targets[row, at : at + len(pieces)] = pieces, asked
                at += len(pieces)
        return torch.from_numpy(ids), torch.from_numpy(targets)


@dataclass
class JoinLoss:
    """What the lower layer is asked: at each word's last piece its target's vector, at captions' words their own."""

    rows: Rows
    vectors: torch.Tensor  # (targets, 768)
    own: torch.Tensor  # (pieces, 768), the teacher's of the captions' pieces
    positions: torch.Tensor  # (77, 768), the teacher's

    def __call__(self, student: Any, step: int, batch: int, length: int) -> tuple[torch.Tensor, float]:
        """The loss of one step's rows, and the share of their words whose target is the nearest."""
        ids, targets = self.rows.draw(step, batch, length)
        places = student.get_parameter(text._POSITIONS)[:length]
        states = lower_layers(student, student.get_input_embeddings()(ids) + places, 1) - self.positions[:length]
        wanted = torch.where((targets >= 0)[..., None], self.vectors[targets.clamp(min=0)], self.own[ids])
        wanted = torch.where((targets == -3)[..., None], self.vectors[self.rows.numbers[NOTHING]], wanted)
        weight = torch.where(targets == -3, 0.3, 1.0) * (targets != -1)
        error = (states - wanted).pow(2).sum(-1) / self.vectors.var(0).sum()  # (B, L)
        asked = targets >= 0
        found = states[asked] @ self.vectors.T - 0.5 * self.vectors.pow(2).sum(1)  # (words, targets)
        # Which target is nearest counts beside how near it is: the distance alone learns slowly to tell them apart.
        loss = (error * weight).sum() / weight.sum() + 0.3 * F.cross_entropy(SHARPNESS * found, targets[asked])
        return loss, float((found.argmax(1) == targets[asked]).float().mean())


def train_join(plan: WordsPlan, student: Any, loss_of: JoinLoss, folder: Path) -> None:
    """Teaches the lower layer and the pieces' vectors; goes on from join.pt."""
    log = runs.Log(folder, "join", plan.join_steps)
    lower = [p for n, p in student.named_parameters() if "layers.0." in n]
    other = [student.get_input_embeddings().weight, student.get_parameter(text._POSITIONS)]
    optimizer = torch.optim.AdamW(
        [{"params": lower, "scale": 1.0}, {"params": other, "scale": 1.0}], plan.join_rate, betas=(0.9, 0.98),
        weight_decay=0.0,
    )  # fmt: skip
    path, step, mean = folder / "join.pt", 0, 0.0
    if (state := runs.load(path)) is not None:
        runs.fit(student, state["student"], str(path))
        optimizer.load_state_dict(state["optimizer"])
        step = int(state["step"])
        log.say(f"goes on from step {step}")
    while step < plan.join_steps:
        _set_rate(optimizer, plan.join_rate, step, plan.join_steps)
        loss, right = loss_of(student, step, plan.join_batch, plan.join_tokens)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([*lower, *other], 1.0)
        optimizer.step()
        step += 1
        mean = 0.97 * mean + 0.03 * loss.item() if mean else loss.item()
        log.tick(plan.join_batch)
        if step % plan.report == 0:
            log.report(step, mean, f", words right {100 * right:.1f} %")
        if step % plan.keep_every == 0 or step == plan.join_steps:
            runs.save(path, {"student": student.state_dict(), "optimizer": optimizer.state_dict(), "step": step})


def _set_rate(optimizer: Any, rate: float, step: int, steps: int) -> None:
    """A short warm-up, then half a cosine to a fiftieth."""
    now = rate * min(1.0, (step + 1) / 100) * max(0.02, 0.5 * (1 + math.cos(math.pi * step / steps)))
    for group in optimizer.param_groups:
        group["lr"] = now * group["scale"]


# -- the stage "distil" --------------------------------------------------------------------------------------------


class Aligner:
    """Token numbers of both readings of a pair, and which of the teacher's rows each of the student's must become."""

    def __init__(self, old: Any, new: Any) -> None:
        self.old, self.new = old, new
        self._ids = functools.lru_cache(60_000)(self._tokenize)

    def _tokenize(self, part: str, student: bool) -> tuple[int, ...]:
        tokenizer = self.new if student else self.old
        return tuple(tokenizer(part, add_special_tokens=False).input_ids) if part else ()

    def align(self, pair: Pair, length: int) -> tuple[list[int], list[int], list[int], list[float]]:
        """The teacher's tokens and the student's (L each), for each of the student's rows the teacher's, its weight."""
        canonical, free = [self.old.bos_token_id], [self.new.bos_token_id]
        rows, weights = [0], [1.0]
        for said, other in pair.parts:
            old, new = self._ids(said, False), self._ids(other, True)
            before = len(canonical) - 1
            if said == other and len(old) == len(new):
                rows += range(before + 1, before + 1 + len(old))
                weights += [1.0] * len(old)
            elif pair.loose:
                rows += [before] * len(new)
                weights += [0.0] * len(new)
            elif new:
                rows += [before] * (len(new) - 1) + [before + len(old)]
                weights += [0.1 if before else 0.0] * (len(new) - 1) + [0.5 if old else 0.1]
            canonical += old
            free += new
        ends = len(canonical), len(free)
        for row in range(len(free), length):
            rows.append(max(row, ends[0]))
            weights.append(1.0)
        canonical += [self.old.eos_token_id] * length
        free += [self.new.eos_token_id] * length
        return canonical[:length], free[:length], [min(r, length - 1) for r in rows[:length]], weights[:length]


class PairDraws:
    """The pairs of each step, the same for the same step."""

    def __init__(self, pack: SpritePack, entries: list[Entry], seed: int) -> None:
        self._source, self._seed = PairSource(pack, entries, seed), seed

    def __call__(self, step: int, number: int) -> list[Pair]:
        self._source.reseed(self._seed * 1_000_003 + step)
        return [self._source.draw() for _ in range(number)]


def train_distil(
    plan: WordsPlan, student: Any, teacher: Any, source: PairDraws, aligner: Aligner, join: JoinLoss, folder: Path
) -> None:
    """Teaches the whole student on pairs of captions; goes on from distil.pt."""
    log = runs.Log(folder, "distil", plan.distil_steps)
    upper = [p for n, p in student.named_parameters() if "layers.1." in n or "final" in n]
    other = [p for n, p in student.named_parameters() if not ("layers.1." in n or "final" in n)]
    optimizer = torch.optim.AdamW(
        [{"params": other, "scale": 1.0}, {"params": upper, "scale": 0.3}], plan.distil_rate, betas=(0.9, 0.98),
        weight_decay=0.0,
    )  # fmt: skip
    path, step, mean = folder / "distil.pt", 0, 0.0
    if (state := runs.load(path)) is not None:
        runs.fit(student, state["student"], str(path))
        optimizer.load_state_dict(state["optimizer"])
        step = int(state["step"])
        log.say(f"goes on from step {step}")
    else:  # `join` saw no place beyond its rows: they begin as its last one
        places = student.get_parameter("embeddings.position_embedding.weight").data
        places[plan.join_tokens :] = places[plan.join_tokens - 1]
    fixed = torch.ones(ROWS, WIDTH_OF_TEXT)
    for position, _ in FIXED:
        fixed.view(-1)[position] = 0
    while step < plan.distil_steps:
        _set_rate(optimizer, plan.distil_rate, step, plan.distil_steps)
        long = step % 10 == 9  # now and then all 77 rows
        batch, length = (plan.distil_batch // 3, ROWS) if long else (plan.distil_batch, plan.distil_tokens)
        pairs = source(step, batch)
        canonical, free, rows, weights = (
            torch.tensor(x) for x in zip(*(aligner.align(p, length) for p in pairs), strict=True)
        )
        with torch.no_grad():
            states = teacher(input_ids=canonical).last_hidden_state
            wanted = states.gather(1, rows[..., None].expand(-1, -1, WIDTH_OF_TEXT))
        found = student(input_ids=free).last_hidden_state
        error = ((found - wanted) * fixed[:length]).pow(2).mean(-1) / float(states.var())
        loss = (error * weights).sum() / weights.sum()
        joined, right = join(student, plan.join_steps + step, plan.distil_batch // 2, plan.join_tokens)
        optimizer.zero_grad()
        (loss + plan.join_share * joined).backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        step += 1
        mean = 0.97 * mean + 0.03 * loss.item() if mean else loss.item()
        log.tick(batch)
        if step % plan.report == 0:
            log.report(step, mean, f", last row {error[:, -1].mean().item():.4f}, words right {100 * right:.1f} %")
        if step % plan.keep_every == 0 or step == plan.distil_steps:
            runs.save(path, {"student": student.state_dict(), "optimizer": optimizer.state_dict(), "step": step})


# -- all of it -----------------------------------------------------------------------------------------------------


def open_student(folder: Path, teacher: Any, old: Any) -> tuple[Any, Any]:
    """The student as far as it is trained, and its tokenizer."""
    new = open_tokenizer(folder / "tokenizer")
    student = new_student(teacher, old, new)
    for stage in ("distil.pt", "join.pt"):
        if (state := runs.load(folder / stage)) is not None:
            runs.fit(student, state["student"], str(folder / stage))
            break
    return student, new


def train(plan: WordsPlan, folder: Path) -> None:
    """Both stages, as far as they are not done."""
    pack, entries = open_pack(), read_lexicon()
    teacher, old = load_teacher()
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "tokenizer" / "vocab.json").exists():
        make_words_tokenizer((e for e in entries if not held_out_word(e)), folder / "tokenizer", plan.pieces)
    new = open_tokenizer(folder / "tokenizer")
    keys = all_keys(entries)
    torch.manual_seed(plan.seed)
    if (kept := runs.load(folder / "vectors.pt")) is None:
        kept = {"vectors": train_vectors(plan, teacher, old, keys, pack)}
        runs.save(folder / "vectors.pt", kept)
    vectors: torch.Tensor = kept["vectors"]
    if len(vectors) != len(keys):
        raise TrainingError("The lexicon has other targets than the run in this folder.", "Begin in another folder.")
    student = new_student(teacher, old, new)
    own = student.get_input_embeddings().weight.detach().clone()
    rows = Rows(entries, keys, new, plan.seed)
    _start_pieces(student, rows, vectors)
    join = JoinLoss(rows, vectors, own, teacher.get_parameter(text._POSITIONS).detach())
    train_join(plan, student, join, folder)
    train_distil(plan, student, teacher, PairDraws(pack, entries, plan.seed), Aligner(old, new), join, folder)


def export(student: Any, tokenizer: Path, folder: Path) -> int:
    """Writes `text_encoder/` (float16, files under 15 MB) and `tokenizer/` into a folder; returns the bytes."""
    half = copy.deepcopy(student).to(torch.float16)
    for name in ("text_encoder", "tokenizer"):
        shutil.rmtree(folder / name, ignore_errors=True)
    half.save_pretrained(folder / "text_encoder", safe_serialization=True, max_shard_size="14MB")
    for file in (folder / "text_encoder").glob("*.safetensors"):
        file.chmod(0o644)
    config = folder / "text_encoder" / "config.json"
    facts = json.loads(config.read_text(encoding="utf-8"))
    facts.pop("_name_or_path", None)
    config.write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    shutil.copytree(tokenizer, folder / "tokenizer")
    return sum(f.stat().st_size for f in (folder / "text_encoder").glob("*.safetensors"))


def export_edition(folder: Path, edition: Path) -> int:
    """A copy of the shipped edition with a run's student in it, to be looked at as data/editions/<slug>."""
    student, _ = open_student(folder, *load_teacher())
    if not edition.exists():
        shutil.copytree(EDITION, edition)
    size = export(student, folder / "tokenizer", edition)
    facts = edition / "edition.toml"
    digest = f'digest = "{weights_digest(edition)}"'
    facts.write_text(
        re.sub(r'^digest = "\w+"', digest, facts.read_text(encoding="utf-8"), flags=re.M), encoding="utf-8"
    )
    return size


@torch.no_grad()
def _start_pieces(student: Any, rows: Rows, vectors: torch.Tensor) -> None:
    """A new piece that is a whole word begins as its target's vector, every other as the vector of nothing."""
    weights = student.get_input_embeddings().weight
    new = weights.abs().sum(1) == 0
    weights[new] = vectors[rows.numbers[NOTHING]]
    for pieces, target in zip(rows.ids, rows.targets, strict=True):
        if len(pieces) == 1 and new[pieces[0]]:
            weights[pieces[0]] = vectors[target]


def main() -> None:
    """Trains as long as it is let, and goes on where it stood."""
    parser = argparse.ArgumentParser(description="Teaches the text encoder the words of the lexicon.")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--join-steps", type=int, default=WordsPlan.join_steps)
    parser.add_argument("--distil-steps", type=int, default=WordsPlan.distil_steps)
    parser.add_argument("--into", type=Path, help="train nothing: write an edition with what is learned so far")
    arguments = parser.parse_args()
    if arguments.into:
        print(f"{export_edition(arguments.folder, arguments.into) / 1e6:.1f} MB of weights in {arguments.into}")
        return
    train(WordsPlan(join_steps=arguments.join_steps, distil_steps=arguments.distil_steps), arguments.folder)


if __name__ == "__main__":
    main()
