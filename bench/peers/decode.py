#!/usr/bin/env python3
"""Inference of transformers and CTranslate2 at the sizes that triarch's bench uses, with random weights.

    python bench/peers/decode.py PEER TASK PRECISION [BATCH]

PEER is transformers or ctranslate2, PRECISION float32, bfloat16 or int8, and TASK one of

    generate-B, generate-D   a GPT-2 (width 256 and 6 layers, or 124M): 16 tokens in, 64 out, greedy
    prompt-B, prompt-D       the same models: 512 tokens in, the logits behind the last
    greedy-S, beam-S         T5-small: 24 tokens in, 32 out, greedy or with 4 beams
    embed-E                  a BERT of width 384 and 6 layers: mean-pooled rows of texts of 8 to 120 tokens

It says one line of JSON when it is warm; then, for each line "step" on stdin, the milliseconds of doing BATCH of them.
Needs torch 2.13 and transformers; CTranslate2 for itself.
"""

import json
import os
import sys
import tempfile
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
import transformers

THREADS = len(os.sched_getaffinity(0))
CONFIGS = {"B": (4096, 256, 6, 4), "D": (50304, 768, 12, 12)}  # vocabulary, width, layers, heads


def gpt2(size):
    v, d, layers, heads = CONFIGS[size]
    return transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=v, n_embd=d, n_layer=layers, n_head=heads, n_positions=1024, bos_token_id=0, eos_token_id=None,
            pad_token_id=0,
        )  # fmt: skip
    ).eval()


def t5():
    return transformers.T5ForConditionalGeneration(
        transformers.T5Config(
            vocab_size=32128, d_model=512, d_kv=64, d_ff=2048, num_layers=6, num_heads=8, decoder_start_token_id=0,
            eos_token_id=1,
        )  # fmt: skip
    ).eval()


def bert():
    return transformers.BertModel(
        transformers.BertConfig(
            vocab_size=30522, hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536
        ),
        add_pooling_layer=False,
    ).eval()


def texts(batch):
    """Lengths as in bench/programs/decode.cpp: 8 to 120 tokens, evenly."""
    return [torch.randint(1000, 30000, (8 + 112 * i // max(1, batch - 1),)) for i in range(batch)]


def with_transformers(task, size, precision, batch):
    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]
    if task in ("generate", "prompt"):
        model = gpt2(size).to(dtype)
        ids = torch.randint(model.config.vocab_size, (batch, 16 if task == "generate" else 512))
        if task == "prompt":
            return lambda: model(ids, logits_to_keep=1)
        return lambda: model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=64, min_new_tokens=64, do_sample=False
        )
    if task == "embed":
        # As sentence-transformers does: sorted by length, in padded batches of 32.
        model, all_texts = bert().to(dtype), sorted(texts(batch), key=len, reverse=True)

        def embed():
            for i in range(0, len(all_texts), 32):
                part = all_texts[i : i + 32]
                ids = torch.nn.utils.rnn.pad_sequence(part, batch_first=True)
                mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(t) for t in part], batch_first=True)
                rows = model(input_ids=ids, attention_mask=mask).last_hidden_state
                (rows * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)

        return embed
    model = t5().to(dtype)
    ids = torch.randint(2, 32000, (batch, 24))
    return lambda: model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=32, min_new_tokens=32, do_sample=False,
        num_beams=4 if task == "beam" else 1,
    )  # fmt: skip


def with_ctranslate2(task, size, precision, batch):
    import ctranslate2
    from ctranslate2.converters import transformers as loaders

    if task == "embed":
        sys.exit("decode.py: CTranslate2 is measured by generation only")
    folder = tempfile.mkdtemp(prefix="ctranslate2-")
    words = lambda n: [f"w{i}" for i in range(n)]  # noqa: E731
    if task in ("generate", "prompt"):
        model = gpt2(size)
        spec = loaders.GPT2Loader().get_model_spec(model)
        spec.register_vocabulary(words(model.config.vocab_size))
        spec.config.bos_token = spec.config.eos_token = spec.config.unk_token = "w0"
    else:
        model = t5()
        spec = loaders.T5Loader().get_model_spec(model)
        spec.register_source_vocabulary(words(model.config.vocab_size))
        spec.register_target_vocabulary(words(model.config.vocab_size))
        spec.config.decoder_start_token, spec.config.eos_token, spec.config.unk_token = "w0", "w1", "w2"
        spec.config.bos_token = "w0"
    spec.validate()
    spec.optimize(quantization=precision)
    spec.save(folder)
    load = {"device": "cpu", "compute_type": precision, "intra_threads": THREADS, "inter_threads": 1}
    if task in ("generate", "prompt"):
        engine, new = ctranslate2.Generator(folder, **load), 64 if task == "generate" else 1
        prompts = [[f"w{7 + (31 * i + 17 * b) % 4000}" for i in range(16 if new == 64 else 512)] for b in range(batch)]
        return lambda: engine.generate_batch(
            prompts, max_length=new, min_length=new, sampling_topk=1, include_prompt_in_result=False, max_batch_size=0
        )
    engine = ctranslate2.Translator(folder, **load)
    sources = [[f"w{7 + (31 * i + 17 * b) % 4000}" for i in range(24)] for b in range(batch)]
    return lambda: engine.translate_batch(
        sources, max_decoding_length=32, min_decoding_length=32, beam_size=4 if task == "beam" else 1, max_batch_size=0
    )


def main():
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    peer, (task, size), precision = sys.argv[1], sys.argv[2].split("-"), sys.argv[3]
    batch = int(sys.argv[4]) if len(sys.argv) == 5 else 1
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    work = {"transformers": with_transformers, "ctranslate2": with_ctranslate2}[peer](task, size, precision, batch)
    with torch.inference_mode():
        work()
        print(json.dumps({"peer": peer, "task": sys.argv[2], "precision": precision, "batch": batch}), flush=True)
        for line in sys.stdin:
            if line.strip() != "step":
                sys.exit(f"decode.py: expected 'step', found '{line.strip()}'")
            start = time.perf_counter()
            work()
            print(f"{(time.perf_counter() - start) * 1e3:.3f}", flush=True)


if __name__ == "__main__":
    main()
