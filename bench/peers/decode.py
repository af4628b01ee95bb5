#!/usr/bin/env python3
"""Inference of transformers, CTranslate2 and llama.cpp at the sizes that triarch's bench uses, with random weights.

    python bench/peers/decode.py PEER TASK PRECISION [BATCH]

PEER is transformers, ctranslate2 or llama.cpp, PRECISION float32, bfloat16 or int8, and TASK one of

    generate-B, generate-D   a GPT-2 (width 256 and 6 layers, or 124M): 16 tokens in, 64 out, greedy
    prompt-B, prompt-D       the same models: 512 tokens in, the logits behind the last
    greedy-S, beam-S         T5-small: 24 tokens in, 32 out, greedy or with 4 beams
    embed-E                  a BERT of width 384 and 6 layers: mean-pooled rows of texts of 8 to 120 tokens

It says one line of JSON when it is warm; then, for each line "step" on stdin, the milliseconds of doing BATCH of them.
Needs torch 2.13 and transformers; ctranslate2 for itself; llama-cpp-python and gguf for llama.cpp, which generates
and prompts only, with its q8_0 as int8 and its usual cache, of float16.
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
LENGTHS = {"generate": (16, 64), "prompt": (512, 1)}  # tokens in, out
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
        read, new = LENGTHS[task]
        ids = torch.randint(model.config.vocab_size, (batch, read))
        if task == "prompt":
            return lambda: model(ids, logits_to_keep=1)
        return lambda: model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=new, min_new_tokens=new, do_sample=False
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
        engine, (read, new) = ctranslate2.Generator(folder, **load), LENGTHS[task]
        prompts = [[f"w{7 + (31 * i + 17 * b) % 4000}" for i in range(read)] for b in range(batch)]
        return lambda: engine.generate_batch(
            prompts, max_length=new, min_length=new, sampling_topk=1, include_prompt_in_result=False, max_batch_size=0
        )
    engine = ctranslate2.Translator(folder, **load)
    sources = [[f"w{7 + (31 * i + 17 * b) % 4000}" for i in range(24)] for b in range(batch)]
    return lambda: engine.translate_batch(
        sources, max_decoding_length=32, min_decoding_length=32, beam_size=4 if task == "beam" else 1, max_batch_size=0
    )


def gguf_of(model, kind, path):
    """A GPT-2 of transformers as a GGUF file without a vocabulary, its matrices as `kind`; biases, norms and positions
    stay float32, as in llama.cpp's own converter."""
    import gguf

    c = model.config
    writer = gguf.GGUFWriter(path, "gpt2")
    writer.add_tokenizer_model("none")
    writer.add_vocab_size(c.vocab_size)
    writer.add_context_length(c.n_positions)
    writer.add_embedding_length(c.n_embd)
    writer.add_feed_forward_length(4 * c.n_embd)
    writer.add_block_count(c.n_layer)
    writer.add_head_count(c.n_head)
    writer.add_layer_norm_eps(c.layer_norm_epsilon)

    def add(name, tensor, matrix=False):
        to = kind if matrix else gguf.GGMLQuantizationType.F32
        writer.add_tensor(name, gguf.quants.quantize(tensor.detach().numpy(), to), raw_dtype=to)

    def add_both(name, module, matrix):
        # transformers keeps these matrices as (inputs, outputs).
        add(name + ".weight", module.weight.T.contiguous() if matrix else module.weight, matrix)
        add(name + ".bias", module.bias)

    t = model.transformer
    add("token_embd.weight", t.wte.weight, True)
    add("position_embd.weight", t.wpe.weight)
    add_both("output_norm", t.ln_f, False)
    for i, block in enumerate(t.h):
        add_both(f"blk.{i}.attn_norm", block.ln_1, False)
        add_both(f"blk.{i}.attn_qkv", block.attn.c_attn, True)
        add_both(f"blk.{i}.attn_output", block.attn.c_proj, True)
        add_both(f"blk.{i}.ffn_norm", block.ln_2, False)
        add_both(f"blk.{i}.ffn_up", block.mlp.c_fc, True)
        add_both(f"blk.{i}.ffn_down", block.mlp.c_proj, True)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def with_llama_cpp(task, size, precision, batch):
    import ctypes

    import gguf
    import llama_cpp as ll
    import numpy as np

    if task not in LENGTHS:
        sys.exit("decode.py: llama.cpp is measured by generate and prompt only")
    kinds = gguf.GGMLQuantizationType
    kind = {"float32": kinds.F32, "bfloat16": kinds.BF16, "int8": kinds.Q8_0}[precision]
    model = gpt2(size)
    vocabulary = model.config.vocab_size
    with tempfile.NamedTemporaryFile(suffix=".gguf") as file:
        gguf_of(model, kind, file.name)
        silent = ll.llama_log_callback(lambda level, text, user: None)
        ll.llama_log_set(silent, ctypes.c_void_p(0))
        engine = ll.llama_model_load_from_file(file.name.encode(), ll.llama_model_default_params())
    read, new = LENGTHS[task]
    options = ll.llama_context_default_params()
    options.n_seq_max = batch
    options.n_ctx = batch * -(-(read + new) // 256) * 256
    options.n_batch = options.n_ubatch = max(512, batch * read)
    options.n_threads = options.n_threads_batch = THREADS
    context = ll.llama_init_from_model(engine, options)
    if not context:
        sys.exit("decode.py: llama.cpp made no context")
    tokens = ll.llama_batch_init(batch * read, 0, 1)
    prompts = torch.randint(vocabulary, (batch, read)).tolist()

    def decode(ids, first):
        """ids: of each sequence as many, which stand from `first` on. The likeliest tokens behind the last of each."""
        wide = len(ids[0])
        tokens.n_tokens = batch * wide
        for b, sequence in enumerate(ids):
            for i, token in enumerate(sequence):
                at = b * wide + i
                tokens.token[at], tokens.pos[at] = token, first + i
                tokens.n_seq_id[at], tokens.seq_id[at][0], tokens.logits[at] = 1, b, i + 1 == wide
        if ll.llama_decode(context, tokens) != 0:
            sys.exit("decode.py: llama.cpp could not decode")
        rows = (ll.llama_get_logits_ith(context, (b + 1) * wide - 1) for b in range(batch))
        return [[int(np.argmax(np.ctypeslib.as_array(row, (vocabulary,))))] for row in rows]

    def generate():
        ll.llama_memory_clear(ll.llama_get_memory(context), True)
        ids = decode(prompts, 0)
        for i in range(1, new):
            ids = decode(ids, read + i - 1)
        return ids

    generate.silent = silent  # lives as long as the library calls it
    return generate


def main():
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    peer, (task, size), precision = sys.argv[1], sys.argv[2].split("-"), sys.argv[3]
    batch = int(sys.argv[4]) if len(sys.argv) == 5 else 1
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    peers = {"transformers": with_transformers, "ctranslate2": with_ctranslate2, "llama.cpp": with_llama_cpp}
    work = peers[peer](task, size, precision, batch)
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
