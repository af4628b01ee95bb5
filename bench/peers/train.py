#!/usr/bin/env python3
"""Training steps of PyTorch at the sizes that triarch's bench uses: forward, backward, clip, fused AdamW.

    python bench/peers/train.py [--configs A B C] [--families causal encoder encoder_decoder encoder_uneven ...]
                                [--precisions float32 bfloat16] [--modes eager compiled] [--steps 7]

prints one JSON line per configuration: the median step in ms over interleaved rounds, tokens/s and GFLOP/s.

    python bench/peers/train.py --serve --configs B --families causal --precisions float32 --modes compiled

is one configuration that answers: first a JSON line when it is warm, then, for each line "step" on stdin, the ms of one step,
and for "memory" the bytes that the process took at most. A bench that alternates its own steps with these measures both under the same weather.

Needs torch 2.13 and, for the encoder and the encoder-decoder, transformers; compiled mode needs a C++ compiler.
"""

import argparse
import functools
import json
import os
import statistics
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

# vocabulary, row length, width, layers, heads, rows of text per batch
CONFIGS = {
    "A": {"V": 512, "T": 128, "d": 128, "L": 4, "h": 4, "B": 32},
    "B": {"V": 4096, "T": 256, "d": 256, "L": 6, "h": 4, "B": 8},
    "C": {"V": 4096, "T": 512, "d": 512, "L": 8, "h": 8, "B": 4},
    "D": {"V": 50304, "T": 256, "d": 768, "L": 12, "h": 12, "B": 2},
}
MASKED = 0.15  # share of the tokens that the encoder predicts
UNEVEN = 16  # tokens of the shortest text of the families "..._uneven"
SOURCE = 0.75  # of an encoder-decoder's T tokens per example: encoder rows; the others are the decoder's


def uneven(c, place, stride=1):
    """Lengths of the batch's texts, evenly from UNEVEN to T, and the mask [B, T] of what is no padding."""
    n = c["B"]
    lengths = [UNEVEN + (c["T"] - UNEVEN) * ((stride * i + place) % n) // max(n - 1, 1) for i in range(n)]
    return lengths, torch.arange(c["T"])[None] < torch.tensor(lengths)[:, None]


class Block(nn.Module):
    def __init__(self, d, h):
        super().__init__()
        self.h = h
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.up, self.down = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = (y.view(b, t, self.h, d // self.h).transpose(1, 2) for y in self.qkv(self.norm1(x)).chunk(3, -1))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(b, t, d))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class Causal(nn.Module):
    """GPT-2, tied, with PyTorch's own fused attention: faster than transformers' model, so the better peer."""

    def __init__(self, c):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(c["V"], c["d"]), nn.Embedding(c["T"], c["d"])
        self.blocks = nn.ModuleList(Block(c["d"], c["h"]) for _ in range(c["L"]))
        self.norm = nn.LayerNorm(c["d"])
        for p in self.parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=0.02)
        ids = torch.randint(c["V"], (c["B"], c["T"] + 1))
        self.batch = (ids[:, :-1].contiguous(), ids[:, 1:].contiguous())
        n = sum(p.numel() for p in self.parameters()) - self.positions.weight.numel()
        self.rows = c["B"] * c["T"]
        self.flop = self.rows * (6 * n + 6 * c["L"] * c["d"] * c["T"])

    def forward(self, ids, targets):
        x = self.tokens(ids) + self.positions.weight[: ids.shape[1]]
        for block in self.blocks:
            x = block(x)
        return F.cross_entropy(F.linear(self.norm(x), self.tokens.weight).flatten(0, 1), targets.flatten())


class Encoder(nn.Module):
    """transformers' BERT with a masked-LM loss. Only masked rows go through the vocabulary; in mode "shipped" the loss
    is transformers' own, which takes all rows."""

    def __init__(self, c, even=True):
        super().__init__()
        import transformers

        config = transformers.BertConfig(
            vocab_size=c["V"], hidden_size=c["d"], num_hidden_layers=c["L"], num_attention_heads=c["h"],
            intermediate_size=4 * c["d"], max_position_embeddings=c["T"], hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0, attn_implementation="sdpa",
        )  # fmt: skip
        self.model = transformers.BertForMaskedLM(config)
        lengths, mask = ([c["T"]] * c["B"], None) if even else uneven(c, 0)
        self.rows = sum(lengths)
        real = torch.arange(c["B"] * c["T"]) if even else mask.flatten().nonzero().flatten()
        masked = real[torch.randperm(self.rows)[: round(MASKED * self.rows)]].sort().values
        self.batch = (torch.randint(c["V"], (c["B"], c["T"])), masked, torch.randint(c["V"], masked.shape), mask)
        layers = sum(p.numel() for p in self.model.bert.encoder.parameters())
        head = c["V"] * c["d"] + c["d"] ** 2
        attention = 12 * c["L"] * c["d"] * sum(n * n for n in lengths)
        self.flop = self.rows * 6 * layers + attention + len(masked) * 6 * head

    def forward(self, ids, masked, targets, mask):
        if self.shipped:
            labels = torch.full((ids.numel(),), -100)
            labels[masked] = targets
            return self.model(ids, attention_mask=mask, labels=labels.view_as(ids)).loss
        hidden = self.model.bert(ids, attention_mask=mask).last_hidden_state.flatten(0, 1)[masked]
        return F.cross_entropy(self.model.cls(hidden), targets)


class EncoderDecoder(nn.Module):
    """transformers' T5 v1.0, half of the layers in each stack."""

    def __init__(self, c, even=True):
        super().__init__()
        import transformers

        half = c["L"] // 2
        config = transformers.T5Config(
            vocab_size=c["V"], d_model=c["d"], d_kv=c["d"] // c["h"], d_ff=4 * c["d"], num_layers=half,
            num_decoder_layers=half, num_heads=c["h"], dropout_rate=0.0, decoder_start_token_id=0, use_cache=False,
        )  # fmt: skip
        self.model = transformers.T5ForConditionalGeneration(config)
        n = c["B"]
        if even:
            mask, length = None, int(SOURCE * c["T"])
            sources, targets = [length] * n, [c["T"] - length] * n
            ids, labels = (torch.randint(c["V"], (n, m)) for m in (length, c["T"] - length))
        else:
            (sources, mask), (targets, wanted) = uneven(c, 0), uneven(c, 1, 3)
            ids, labels = (torch.randint(c["V"], (n, c["T"])) for _ in range(2))
            labels[~wanted] = -100
        self.batch = (ids, labels, mask)
        self.rows = sum(sources) + sum(targets)
        d = c["d"]
        encoder = half * (12 * d * d)  # parameters that a row is multiplied with
        decoder = half * (12 * d * d + 2 * d * d) + c["V"] * d  # cross attention's keys and values are the source's
        self.flop = sum(
            source * (6 * encoder + 6 * half * 2 * d * d + 12 * half * d * source)
            + target * (6 * decoder + 6 * half * d * target + 12 * half * d * source)
            for source, target in zip(sources, targets, strict=True)
        )

    def forward(self, source, target, mask):
        return self.model(input_ids=source, attention_mask=mask, labels=target).loss


FAMILIES = {
    "causal": Causal,
    "encoder": Encoder,
    "encoder_decoder": EncoderDecoder,
    "encoder_uneven": functools.partial(Encoder, even=False),
    "encoder_decoder_uneven": functools.partial(EncoderDecoder, even=False),
}


class Runner:
    """One configuration: `step` does a training step and gives its ms."""

    def __init__(self, config, family, precision, mode):
        torch.manual_seed(0)
        self.name = {"config": config, "family": family, "precision": precision, "mode": mode}
        self.model = FAMILIES[family](CONFIGS[config]).train()
        self.model.shipped = mode == "shipped"
        self.run = torch.compile(self.model) if mode == "compiled" else self.model
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4, fused=True)
        self.autocast = torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bfloat16")

    def step(self):
        start = time.perf_counter()
        with self.autocast:
            loss = self.run(*self.model.batch)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return (time.perf_counter() - start) * 1e3

    def warm_up(self, steps=3):
        for _ in range(steps):
            self.step()

    def report(self, **more):
        return {
            "peer": f"PyTorch {torch.__version__}", **self.name, "threads": torch.get_num_threads(),
            "rows": self.model.rows, "gflop": round(self.model.flop / 1e9, 3), **more,
        }  # fmt: skip


def parse():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--configs", nargs="+", choices=CONFIGS, default=["B"])
    p.add_argument("--families", nargs="+", choices=FAMILIES, default=["causal", "encoder", "encoder_decoder"])
    p.add_argument("--precisions", nargs="+", choices=["float32", "bfloat16"], default=["float32", "bfloat16"])
    p.add_argument("--modes", nargs="+", choices=["eager", "compiled", "shipped"],
                   default=["eager", "compiled"])
    p.add_argument("--steps", type=int, default=7, help="measured steps, at least 5 (default 7)")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--serve", action="store_true", help="step on demand: a line 'step' on stdin, the ms on stdout")
    args = p.parse_args()
    if args.steps < 5:
        p.error(f"--steps: expected at least 5 for a median, found {args.steps}")
    if "shipped" in args.modes and not set(args.families) <= {"encoder", "encoder_uneven"}:
        p.error("--modes shipped: expected --families encoder or encoder_uneven; the others have one loss")
    one = all(len(x) == 1 for x in (args.configs, args.families, args.precisions, args.modes))
    if args.serve and not one:
        p.error("--serve: expected one configuration; name one each of --configs, --families, --precisions, --modes")
    return args


def peak_memory():
    """Of this process, in bytes."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


def serve(runner):
    runner.warm_up()
    print(json.dumps(runner.report(ready=True)), flush=True)
    for line in sys.stdin:
        if line.strip() == "step":
            print(f"{runner.step():.3f}", flush=True)
        elif line.strip() == "memory":
            print(peak_memory(), flush=True)
        else:
            sys.exit(f"train.py --serve: expected 'step' or 'memory', found '{line.strip()}'")


def measure(runners, steps):
    for runner in runners:
        runner.warm_up()
    times = [[] for _ in runners]
    for _ in range(steps):  # in rounds, so that a slow phase of the machine meets all of them
        for runner, mine in zip(runners, times, strict=True):
            mine.append(runner.step())
    for runner, mine in zip(runners, times, strict=True):
        ms = statistics.median(mine)
        figures = {
            "steps": steps, "ms": round(ms, 2), "ms_min": round(min(mine), 2), "ms_max": round(max(mine), 2),
            "tokens_per_s": round(runner.model.rows / ms * 1e3), "gflop_per_s": round(runner.model.flop / ms / 1e6, 1),
        }  # fmt: skip
        print(json.dumps(runner.report(**figures)), flush=True)


def main():
    args = parse()
    torch.set_num_threads(args.threads)
    if args.serve:
        serve(Runner(args.configs[0], args.families[0], args.precisions[0], args.modes[0]))
        return
    for config in args.configs:
        for family in args.families:
            variants = [(p, m) for p in args.precisions for m in args.modes]
            measure([Runner(config, family, *v) for v in variants], args.steps)


if __name__ == "__main__":
    # Where nothing is downloaded, transformers need not look.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    main()
