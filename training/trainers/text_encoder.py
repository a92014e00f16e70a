"""The tokenizer and text encoder of pocket-1: trained alone, then frozen (torch, transformers).

Two probes say what the U-Net will be able to read, and are thrown away. One looks at the hidden states as the U-Net's
cross-attention does and names every fact that the caption states. The other reads most of them off a single row at or
after the end token with one linear map: rows of padding are most of the 77, an attention that has learned nothing yet
looks at their mean, and without that probe they say next to nothing (6 % of the subjects could be read off them).
A third term keeps the states' common part near zero, so that a layer that reads them sees what differs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTextConfig, CLIPTextModel

from training import runs
from training.configs import FIXED
from training.plans import TextPlan
from training.scenes.backdrops.setting import COLOURS, GROUNDS, SKIES
from training.scenes.caption_source import CaptionSource
from training.scenes.captions import Caption
from training.scenes.scene import SIDES, Scene
from training.scenes.sprites import HUES, SpritePack
from training.trainers.precision import autocast
from worker.catalogue.key import snap_embedding
from worker.engine.networks.text_encoder import open_tokenizer

ROWS, WIDTH_OF_TEXT = 77, 768
START, END = "<|startoftext|>", "<|endoftext|>"
PIECES = 2048


def make_tokenizer(pack: SpritePack, folder: Path, seed: int, everything: bool, captions: int) -> None:
    """Trains the byte-level BPE on captions and the unknown words; writes the files CLIPTokenizer reads."""
    source = CaptionSource(pack, seed, everything)

    def lines() -> Iterator[str]:
        for _ in range(captions):
            yield source.draw()[1].text
        yield from source.words

    tokenizer: Any = Tokenizer(models.BPE(continuing_subword_prefix="", end_of_word_suffix="</w>", unk_token=END))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    pattern = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=PIECES - 2 - 256, initial_alphabet=alphabet, end_of_word_suffix="</w>", show_progress=False
    )
    tokenizer.train_from_iterator(lines(), trainer)
    learned = json.loads(tokenizer.to_str())["model"]
    vocabulary: list[str] = sorted(learned["vocab"], key=learned["vocab"].get)
    # Every byte must be sayable as a whole word too, so that no text can meet an unknown piece.
    vocabulary += [w for letter in alphabet if (w := letter + "</w>") not in learned["vocab"]]
    vocabulary += [START, END]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({p: i for i, p in enumerate(vocabulary)}, ensure_ascii=False))
    merges = [m if isinstance(m, str) else " ".join(m) for m in learned["merges"]]
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(
        json.dumps(
            {
                "tokenizer_class": "CLIPTokenizer", "model_max_length": ROWS, "do_lower_case": True,
                "errors": "replace",
                "bos_token": START, "eos_token": END, "pad_token": END, "unk_token": END, "add_prefix_space": False,
            },
            indent=2,
        )
    )  # fmt: skip
    (folder / "special_tokens_map.json").write_text(
        json.dumps({"bos_token": START, "eos_token": END, "pad_token": END, "unk_token": END}, indent=2)
    )


def new_encoder(tokenizer: Any) -> Any:
    """The untrained text encoder: one layer, hidden 768, a small MLP."""
    config = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=WIDTH_OF_TEXT, intermediate_size=384, num_hidden_layers=1,
        num_attention_heads=12, max_position_embeddings=ROWS, hidden_act="quick_gelu", projection_dim=WIDTH_OF_TEXT,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    return CLIPTextModel(config)


def is_table(tokenizer: Any) -> bool:
    """Whether a tokenizer reads words by a table (training.words.tokenizer), so that some mean nothing."""
    return bool(tokenizer.unk_token_id != tokenizer.eos_token_id)


def keep_noise(source: CaptionSource, tokenizer: Any) -> None:
    """Leave of a source's words that mean nothing those of which the tokenizer reads nothing, if it is a table."""
    if is_table(tokenizer):
        ids = tokenizer(source.words, add_special_tokens=False).input_ids
        source.words = [word for word, own in zip(source.words, ids, strict=True) if {*own} == {tokenizer.unk_token_id}]


def tokens_of(tokenizer: Any, texts: list[str], length: int = ROWS) -> torch.Tensor:
    """Token numbers (B, length), padded with the end token."""
    ids = tokenizer(texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt").input_ids
    return torch.as_tensor(ids)


def fix_values(states: torch.Tensor) -> torch.Tensor:
    """Hidden states (B, L, 768) with the two values that the key does not hold at their constants."""
    mask = torch.ones_like(states[:1])
    fixed = torch.zeros_like(states[:1])
    for position, value in FIXED:
        mask[0, 0, position] = 0
        fixed[0, 0, position] = value
    return states * mask + fixed


@torch.no_grad()
def embed(encoder: Any, tokenizer: Any, texts: list[str], device: str = "cpu", batch: int = 64) -> NDArray[np.float16]:
    """Embeddings (B, 77, 768) float16 of captions on the key's grid, as the press sees them up to float32 rounding."""
    parts = []
    for start in range(0, len(texts), batch):
        ids = tokens_of(tokenizer, texts[start : start + batch]).to(device)
        states = encoder(input_ids=ids).last_hidden_state.float().cpu().numpy()  # (B, 77, 768)
        parts += [snap_embedding(s).astype(np.float16)[None] for s in states]
    return np.concatenate(parts)


# -- what a caption says -------------------------------------------------------------------------------------------

_POSITIONS = "embeddings.position_embedding.weight"
_RELATIONS = (None, "left of", "right of", "above", "below", "and")
_SLOTS = 3


def fact_sizes(subjects: int) -> dict[str, int]:
    """The questions that the probe answers, and how many answers each has; 0 is always "not said"."""
    sizes = {
        "ground": len(GROUNDS) + 2, "sky": len(SKIES), "extra": 6, "colour": len(COLOURS) + 1, "relation": 6,
        "left": subjects + 1, "right": subjects + 1, "top": subjects + 1, "bottom": subjects + 1,
    }  # fmt: skip
    for i in range(_SLOTS):
        sizes |= {f"subject{i}": subjects + 1, f"hue{i}": len(HUES) + 1}
    sizes |= {"count0": 6, "size0": 3, "side0": 4, "depth0": 3}
    return sizes


def facts_of(scene: Scene, caption: Caption) -> dict[str, int]:
    """The right answers for one caption."""
    setting = scene.setting
    grounds, extras = (*GROUNDS, "space"), ("rainbow", "rain", "snowfall", "moon", "sun")
    facts = dict.fromkeys(fact_sizes(1), 0)
    if caption.says_ground:
        facts["ground"] = grounds.index(setting.ground) + 1
    if caption.says_sky:
        facts["sky"] = SKIES.index(setting.sky) + 1
    if caption.says_extra and setting.extra:
        facts["extra"] = extras.index(setting.extra) + 1
    if caption.says_colour and setting.colour:
        facts["colour"] = list(COLOURS).index(setting.colour) + 1
    if not caption.says_groups:
        return facts
    for i, group in enumerate(scene.groups):
        facts[f"subject{i}"] = group.subject.number + 1
        facts[f"hue{i}"] = list(HUES).index(group.hue) + 1 if group.hue else 0
    first = scene.groups[0]
    facts["count0"] = first.count
    facts["size0"] = ("big", "small").index(first.size) + 1 if first.size else 0
    facts["side0"] = SIDES.index(first.side) + 1 if first.side else 0
    facts["depth0"] = ("near", "far").index(first.depth) + 1 if first.depth else 0
    facts["relation"] = _RELATIONS.index(scene.relation)
    if scene.relation not in (None, "and"):
        a, b = (g.subject.number + 1 for g in scene.groups[:2])
        names = ("left", "right") if scene.relation in ("left of", "right of") else ("top", "bottom")
        pair = (a, b) if scene.relation in ("left of", "above") else (b, a)
        facts[names[0]], facts[names[1]] = pair
    return facts


class Probe(nn.Module):
    """One question a fact: a learned query that attends to the hidden states (B, L, 768), then a linear answer."""

    def __init__(self, sizes: dict[str, int], width: int = 192, heads: int = 4) -> None:
        super().__init__()
        self.names, self.heads = list(sizes), heads
        self.query = nn.Parameter(torch.randn(len(sizes), width) * 0.5)
        self.key = nn.Linear(WIDTH_OF_TEXT, width)
        self.value = nn.Linear(WIDTH_OF_TEXT, width)
        self.answers = nn.ModuleDict({name: nn.Linear(width, size) for name, size in sizes.items()})

    def forward(self, states: torch.Tensor) -> dict[str, torch.Tensor]:
        """Logits for every question, (B, answers)."""
        B, L, _ = states.shape
        q = self.query.view(1, len(self.names), self.heads, -1).transpose(1, 2).expand(B, -1, -1, -1)
        k = self.key(states).view(B, L, self.heads, -1).transpose(1, 2)
        v = self.value(states).view(B, L, self.heads, -1).transpose(1, 2)
        found = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)  # (B, questions, width)
        return {name: self.answers[name](found[:, i]) for i, name in enumerate(self.names)}


POOLED = ("ground", "sky", "extra", "colour", "hue0", "count0", "size0", "side0", "depth0")


class PooledProbe(nn.Module):
    """Reads facts off one row of the hidden states, (B, 768): the answers of POOLED, and which subjects there are."""

    def __init__(self, sizes: dict[str, int]) -> None:
        super().__init__()
        self.answers = nn.ModuleDict({name: nn.Linear(WIDTH_OF_TEXT, sizes[name]) for name in POOLED})
        self.subjects = nn.Linear(WIDTH_OF_TEXT, sizes["subject0"])

    def loss(self, row: torch.Tensor, answers: dict[str, torch.Tensor]) -> torch.Tensor:
        """Cross-entropies of the facts, and the binary one of every subject, summed."""
        losses = [F.cross_entropy(self.answers[n](row).float(), answers[n]) for n in POOLED]
        logits = self.subjects(row).float()
        there = torch.zeros_like(logits)
        for i in range(_SLOTS):
            there.scatter_(1, answers[f"subject{i}"][:, None], 1.0)
        there[:, 0] = 0  # "no subject" is no subject
        return torch.stack(losses).sum() + F.binary_cross_entropy_with_logits(logits, there, reduction="sum") / len(row)

    def first_subject(self, row: torch.Tensor) -> torch.Tensor:
        """The likeliest subject's answer, (B)."""
        likeliest: torch.Tensor = self.subjects(row)[:, 1:].argmax(-1) + 1
        return likeliest


def train(
    plan: TextPlan, pack: SpritePack, folder: Path, seed: int, device: str = "cpu", everything: bool = False
) -> Any:
    """Trains tokenizer and text encoder, or goes on where the checkpoint in the folder stands; returns the encoder."""
    log = runs.Log(folder, "text", plan.steps)
    if not (folder / "tokenizer" / "vocab.json").exists():
        make_tokenizer(pack, folder / "tokenizer", seed, everything, plan.captions)
    tokenizer = open_tokenizer(folder / "tokenizer")
    torch.manual_seed(seed)
    encoder = new_encoder(tokenizer).to(device)
    sizes = fact_sizes(len(pack.subjects(everything)))
    probe = Probe(sizes).to(device)
    pooled = PooledProbe(sizes).to(device)
    parameters = [*encoder.parameters(), *probe.parameters(), *pooled.parameters()]
    optimizer = torch.optim.AdamW(parameters, plan.rate, betas=(0.9, 0.99), weight_decay=1e-2)
    path, step = folder / "text.pt", 0
    if (state := runs.load(path)) is not None:
        runs.fit(encoder, state["encoder"], str(path))
        runs.fit(probe, state["probe"], str(path))
        runs.fit(pooled, state["pooled"], str(path))
        optimizer.load_state_dict(state["optimizer"])
        step = int(state["step"])
        log.say(f"goes on from step {step}")
    mean = 0.0
    while step < plan.steps:
        rate = (
            plan.rate * min(1, (step + 1) / plan.warmup) * max(0.02, 0.5 * (1 + math.cos(math.pi * step / plan.steps)))
        )
        for group in optimizer.param_groups:
            group["lr"] = rate
        ids, answers = _batch(
            CaptionSource(pack, seed * 1_000_003 + step, everything), tokenizer, plan.batch, plan.tokens
        )
        with autocast(device):
            states = encoder(input_ids=ids.to(device)).last_hidden_state
            logits = probe(fix_values(states))
            row = states[torch.arange(len(ids)), _row_after_end(ids, tokenizer.eos_token_id)]  # (B, 768)
            answers = {name: truth.to(device) for name, truth in answers.items()}
            loss = pooled.loss(row, answers)
        losses = [F.cross_entropy(logits[name].float(), answers[name]) for name in sizes]
        common = states.float().mean((0, 1)).pow(2).mean()
        loss = loss + torch.stack(losses).sum() + 20 * common
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        step += 1
        mean = 0.95 * mean + 0.05 * loss.item() if mean else loss.item()
        log.tick(plan.batch)
        if step % plan.report == 0:
            log.report(step, mean)
        if step == plan.steps:
            # Positions never trained on, of long captions and of padding, are as the last one that was.
            places = encoder.get_parameter(_POSITIONS)
            places.data[plan.tokens :] = places.data[plan.tokens - 1]
        if step % plan.keep_every == 0 or step == plan.steps:
            runs.save(
                path,
                {"encoder": encoder.state_dict(), "probe": probe.state_dict(), "pooled": pooled.state_dict(),
                 "optimizer": optimizer.state_dict(), "step": step},
            )  # fmt: skip
    log.say(
        f"done, facts right on {plan.held_out:,} held-out captions: "
        f"{score(encoder, probe, pooled, tokenizer, pack, device, everything, plan.held_out)}"
    )
    return encoder


def _batch(
    source: CaptionSource, tokenizer: Any, number: int, length: int
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Token numbers (B, length) and the right answers (B) to every question."""
    pairs = [source.draw() for _ in range(number)]
    facts = [facts_of(scene, caption) for scene, caption in pairs]
    ids = tokens_of(tokenizer, [caption.text for _, caption in pairs], length)
    return ids, {name: torch.tensor([f[name] for f in facts]) for name in facts[0]}


def _row_after_end(ids: torch.Tensor, end: int) -> torch.Tensor:
    """For each row of token numbers (B, L) a random place from its end token to L − 1."""
    first = (ids == end).int().argmax(1)
    return first + (torch.rand(len(ids)) * (ids.shape[1] - first)).long()


@torch.no_grad()
def score(
    encoder: Any, probe: Probe, pooled: PooledProbe, tokenizer: Any, pack: SpritePack, device: str, everything: bool,
    number: int,
) -> str:  # fmt: skip
    """How often the probe is right, on captions from a seed never trained on, through the key's grid."""
    source = CaptionSource(pack, 10_000_019, everything)
    right: dict[str, float] = {}
    rounds = number // 100
    for _ in range(rounds):
        pairs = [source.draw() for _ in range(100)]
        states = torch.from_numpy(embed(encoder, tokenizer, [c.text for _, c in pairs], device)).float().to(device)
        said = {name: values.argmax(-1) for name, values in probe(states).items()}
        for name, found in said.items():
            truth = torch.tensor([facts_of(s, c)[name] for s, c in pairs], device=device)
            right[name] = right.get(name, 0) + float((found == truth).float().mean()) / rounds
        one = [i for i, (scene, caption) in enumerate(pairs) if caption.says_groups and len(scene.groups) == 1]
        truth = torch.tensor([pairs[i][0].groups[0].subject.number + 1 for i in one], device=device)
        for name, row in (("one subject off row 20", 20), ("one subject off row 76", 76)):
            found = pooled.first_subject(states[one, row])
            right[name] = right.get(name, 0) + float((found == truth).float().mean()) / rounds
    return ", ".join(f"{name} {100 * value:.1f} %" for name, value in right.items())
