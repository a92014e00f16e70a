"""Examines what a text encoder understands: `python -m training.words.examine` (torch, transformers).

A word is understood as that target of whose canonical caption the encoder's last row says the likest; beside that the
two probes of the training of the text encoder answer, trained on the shipped encoder alone. Groups of words are kept
apart: common and rare ones, synonyms of the 127 by WordNet, other languages.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from training import runs
from training.scenes.caption_source import CaptionSource
from training.scenes.captions import GROUNDS, SKIES, with_article
from training.scenes.sprites import SpritePack, open_pack, read_subjects
from training.trainers import text_encoder as text
from training.trainers import words as trainer
from training.trainers.text_encoder import PooledProbe, Probe, fact_sizes, facts_of, fix_values
from training.words.lexicon import SYNONYMS, Entry, read_lexicon

FOLDER = Path(__file__).parents[1] / "runs" / "words"
ROW = 40  # a row of padding, by which meanings are compared
PER_GROUP = 200


def train_probes(
    teacher: Any, tokenizer: Any, pack: SpritePack, folder: Path, steps: int = 900
) -> tuple[Probe, PooledProbe]:
    """Both probes on the shipped encoder, which stays as it is; kept in the folder."""
    sizes = fact_sizes(len(pack.subjects()))
    torch.manual_seed(3)
    probe, pooled = Probe(sizes), PooledProbe(sizes)
    path = folder / "probes.pt"
    if (state := runs.load(path)) is not None:
        probe.load_state_dict(state["probe"])
        pooled.load_state_dict(state["pooled"])
        return probe, pooled
    optimizer = torch.optim.AdamW([*probe.parameters(), *pooled.parameters()], 3e-3)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * max(0.02, 1 - step / steps)
        source = CaptionSource(pack, 900_000 + step)
        text.keep_noise(source, tokenizer)
        pairs = [source.draw() for _ in range(48)]
        facts = [facts_of(s, c) for s, c in pairs]
        answers = {name: torch.tensor([f[name] for f in facts]) for name in sizes}
        ids = text.tokens_of(tokenizer, [c.text for _, c in pairs], 32)
        with torch.no_grad():
            states = teacher(input_ids=ids).last_hidden_state
        logits = probe(fix_values(states))
        loss = pooled.loss(states[torch.arange(len(ids)), torch.randint(20, 32, (len(ids),))], answers)
        loss = loss + torch.stack([F.cross_entropy(logits[n], answers[n]) for n in sizes]).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 100 == 0:
            print(f"probes: step {step} of {steps}, loss {loss.item():.3f}", flush=True)
    runs.save(path, {"probe": probe.state_dict(), "pooled": pooled.state_dict()})
    return probe, pooled


class Reader:
    """One encoder with its tokenizer: the states of prompts as the press has them, up to the key's grid."""

    def __init__(self, encoder: Any, tokenizer: Any) -> None:
        self.encoder, self.tokenizer = encoder.eval(), tokenizer

    @torch.no_grad()
    def states(self, prompts: Sequence[str], length: int = ROW + 1, batch: int = 64) -> torch.Tensor:
        """Hidden states (N, length, 768)."""
        parts = []
        for start in range(0, len(prompts), batch):
            ids = text.tokens_of(self.tokenizer, list(prompts[start : start + batch]), length)
            parts.append(self.encoder(input_ids=ids).last_hidden_state)
        return torch.cat(parts)


class Examination:
    """What one encoder makes of words, against the teacher's canonical captions."""

    def __init__(self, teacher: Reader, student: Reader, probes: tuple[Probe, PooledProbe], pack: SpritePack) -> None:
        self.teacher, self.student, self.probes, self.pack = teacher, student, probes, pack
        self.subjects = read_subjects()
        self.names = [s.name for s in self.subjects]

    def named(self, words: Sequence[tuple[str, str]], where: str = "") -> dict[str, float]:
        """Shares of (word, thing): by the likest caption, by the pooled probe, by the attending one."""
        end = f" {where}" if where else ""
        canonical = self.teacher.states([with_article(n) + end for n in self.names])[:, ROW]
        states = self.student.states([with_article(w) + end for w, _ in words])
        truth = torch.tensor([self.names.index(n) for _, n in words])
        return {"likest": _share(_nearest(states[:, ROW], canonical), truth),
                "pooled probe": _share(self.probes[1].first_subject(states[:, ROW]) - 1, truth),
                "probe": _share(self._probe(states)["subject0"] - 1, truth)}  # fmt: skip

    def placed(self, words: Sequence[tuple[str, str]]) -> float:
        """Share of (word, ground) in "a dog in the …" nearest to the right ground's captions."""
        places = list(GROUNDS)
        canonical = torch.stack(
            [
                self.teacher.states([f"a dog {p.format(colour='blue')}" for p in GROUNDS[g]])[:, ROW].mean(0)
                for g in places
            ]
        )
        states = self.student.states([f"a dog in the {w}" for w, _ in words])[:, ROW]
        return _share(_nearest(states, canonical), torch.tensor([places.index(g) for _, g in words]))

    def skied(self, words: Sequence[tuple[str, str]]) -> float:
        """Share of (word, sky) in "a dog on a meadow at …" nearest to the right sky's captions."""
        skies = list(SKIES)
        canonical = torch.stack(
            [self.teacher.states([f"a dog on a meadow {p}" for p in SKIES[k]])[:, ROW].mean(0) for k in skies]
        )
        states = self.student.states([f"a dog on a meadow at {w}" for w, _ in words])[:, ROW]
        return _share(_nearest(states, canonical), torch.tensor([skies.index(k) for _, k in words]))

    def ignored(self, words: Sequence[str]) -> dict[str, float]:
        """How like "a WORD cat on a beach" is to the same without the word, and whether the cat is still there."""
        plain = self.teacher.states(["a cat on a beach"])[:, ROW]
        states = self.student.states([f"a {w} cat on a beach" for w in words])[:, ROW]
        cats = self.probes[1].first_subject(states) - 1 == self.names.index("cat")
        return {"cosine": float(F.cosine_similarity(states, plain).mean()), "cat": float(cats.float().mean())}

    def unchanged(self, number: int = 1000) -> dict[str, Any]:
        """Captions of a seed never trained on: the cosine of both encoders' states, and what the probes read."""
        source = CaptionSource(self.pack, 10_000_019)
        scenes = [source.draw()[0] for _ in range(number)]
        pairs = [(scene, source.writer.write(scene)) for scene in scenes]  # without words that mean nothing
        texts = [c.text for _, c in pairs]
        facts = [facts_of(s, c) for s, c in pairs]
        result: dict[str, Any] = {}
        old, new = self.teacher.states(texts), self.student.states(texts)
        result["cosine of the last row"] = float(F.cosine_similarity(old[:, ROW], new[:, ROW]).mean())
        for who, states in (("teacher", old), ("student", new)):
            said = self._probe(fix_values(states))
            result[f"probe right, {who}"] = float(
                np.mean([float((said[n] == torch.tensor([f[n] for f in facts])).float().mean()) for n in facts[0]])
            )
            one = [i for i, (s, c) in enumerate(pairs) if c.says_groups and len(s.groups) == 1]
            truth = torch.tensor([pairs[i][0].groups[0].subject.number + 1 for i in one])
            result[f"one subject off row {ROW}, {who}"] = _share(self.probes[1].first_subject(states[one, ROW]), truth)
        return result

    @torch.no_grad()
    def _probe(self, states: torch.Tensor) -> dict[str, torch.Tensor]:
        return {name: logits.argmax(-1) for name, logits in self.probes[0](states).items()}

    def run(self, entries: Sequence[Entry]) -> dict[str, Any]:
        """All figures."""
        rng = np.random.default_rng(5)
        groups: defaultdict[str, list[Entry]] = defaultdict(list)
        for e in entries:
            band = "common" if e.weight >= 3.5 else "middling" if e.weight >= 2.5 else "rare"
            if e.language != "en":
                groups[f"{e.kind}, {e.language}"].append(e)
            elif e.how == "w":
                groups[f"{e.kind}, by hand"].append(e)
            elif e.how != "n":
                groups[f"{e.kind}, {band}" + (", phrases" if " " in e.word else "")].append(e)
        figures: dict[str, Any] = {"unchanged captions": self.unchanged()}
        rows = [line.split("\t") for line in SYNONYMS.read_text(encoding="utf-8").splitlines()]
        synonyms = [(word, name) for word, name in rows]
        figures["synonyms of the 127 by WordNet"] = self.named(synonyms) | {"words": len(synonyms)}
        figures["the same, on a beach"] = self.named(synonyms, "on a beach")
        for group, members in sorted(groups.items()):
            chosen = [members[int(i)] for i in rng.permutation(len(members))[:PER_GROUP]]
            found: Any = None
            if group.startswith("thing"):
                found = self.named([(e.word, e.name) for e in chosen])
            elif group.startswith("place"):
                found = {"nearest ground": self.placed([(e.word, e.name) for e in chosen])}
            elif group.startswith("sky"):
                found = {"nearest sky": self.skied([(e.word, e.name) for e in chosen])}
            elif group.startswith("nothing"):
                found = self.ignored([e.word for e in chosen])
            if found is not None:
                figures[group] = found | {"words": len(chosen)}
        return figures


def _nearest(states: torch.Tensor, canonical: torch.Tensor) -> torch.Tensor:
    """The number of the likest canonical state for each, by cosine of what differs from their mean."""
    mean = canonical.mean(0)
    return (F.normalize(states - mean, dim=1) @ F.normalize(canonical - mean, dim=1).T).argmax(1)


def _share(found: torch.Tensor, truth: torch.Tensor) -> float:
    return float((found == truth).float().mean())


def main() -> None:
    """Prints the figures of an edition's encoder."""
    parser = argparse.ArgumentParser(description="What a text encoder understands.")
    parser.add_argument("edition", type=Path, nargs="?", default=trainer.EDITION, help="its folder (the shipped one)")
    parser.add_argument("--teacher", type=Path, default=trainer.EDITION, help="the edition to compare with (the same)")
    parser.add_argument("--folder", type=Path, default=FOLDER, help=f"where the probes are kept ({FOLDER})")
    arguments = parser.parse_args()
    pack = open_pack()
    teacher, student = (trainer.load_teacher(edition) for edition in (arguments.teacher, arguments.edition))
    probes = train_probes(*teacher, pack, arguments.folder)
    figures = Examination(Reader(*teacher), Reader(*student), probes, pack).run(read_lexicon())
    for name, found in figures.items():
        print(name + ": " + ", ".join(f"{k} {v:.3f}" if isinstance(v, float) else f"{v} {k}" for k, v in found.items()))


if __name__ == "__main__":
    main()
