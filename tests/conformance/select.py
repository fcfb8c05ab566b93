#!/usr/bin/env python3
"""select.py CORPUS FOLDER: writes the part of a conformance corpus that the tests of the repository
run on. For each op, smallest samples first, a sample is taken when it has a feature (tag, argument,
option, rank, kind of data) that none before it had. Deterministic."""

import json
import math
import os
import shutil
import struct
import sys

LARGEST_SAMPLE = 4_000  # bytes of tensors
LARGEST_FOLDER = 100_000  # of networks
ORDER = {"F64": 8, "I64": 8, "I32": 4, "U8": 1, "BOOL": 1}


def read_tensors(path):
    with open(path, "rb") as file:
        raw = file.read()
    (n,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + n])
    header.pop("__metadata__", None)
    data = raw[8 + n :]
    return {k: (v["dtype"], v["shape"], data[slice(*v["data_offsets"])]) for k, v in header.items()}


def write_tensors(path, tensors):
    header, blocks, at = {}, [], 0
    for key in sorted(tensors, key=lambda k: (-ORDER[tensors[k][0]], k)):
        dtype, shape, block = tensors[key]
        header[key] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(block)]}
        blocks.append(block)
        at += len(block)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(blocks))


def without_infinities(value):
    """As JSON has it: null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {k: without_infinities(v) for k, v in value.items()}
    return [without_infinities(v) for v in value] if isinstance(value, list) else value


def write_manifest(path, manifest):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(without_infinities(manifest), file, separators=(",", ":"), allow_nan=False)
        file.write("\n")


def features(sample):
    yield from (("tag", t) for t in sample["tags"])
    yield from (("kind", k) for k in ("second", "mutated") if k in sample)
    for name, value in sample["params"].items():
        kind = type(value).__name__
        if isinstance(value, (bool, str)) or value is None:
            kind = repr(value)
        elif isinstance(value, dict):
            kind = ",".join(value)
        yield ("argument", name, kind)
    yield ("rank", len(sample["inputs"][0]["shape"]) if sample["inputs"] else -1)
    fd = sample["check"].get("fd") or {}
    yield from (("coordinates", k) for k in fd.get("exceptions", {}))


def keys_of(sample, tensors):
    return [k for k in tensors if k.startswith(sample["id"] + ".")]


def chosen(samples, tensors):
    size = {s["id"]: sum(len(tensors[k][2]) for k in keys_of(s, tensors)) for s in samples}
    seen, out = set(), []
    for s in sorted(samples, key=lambda x: (size[x["id"]], x["id"])):
        new = set(features(s)) - seen
        if new and (size[s["id"]] <= LARGEST_SAMPLE or not out):
            seen |= new
            out.append(s)
    return out


def select_op(source, target):
    with open(os.path.join(source, "manifest.json"), encoding="utf-8") as file:
        manifest = json.load(file)
    tensors = read_tensors(os.path.join(source, "data.safetensors"))
    samples = chosen(manifest["samples"], tensors)
    for s in samples:
        for needless in ("call", "source", "params_from"):
            s.pop(needless, None)
    manifest["samples"] = samples
    os.makedirs(target)
    write_manifest(os.path.join(target, "manifest.json"), manifest)
    kept = {k: tensors[k] for s in samples for k in keys_of(s, tensors)}
    write_tensors(os.path.join(target, "data.safetensors"), kept)
    return len(samples)


def main(corpus, folder):
    for part in ("ops", "nets", "optim"):
        shutil.rmtree(os.path.join(folder, part), ignore_errors=True)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(corpus, "INDEX.json"), encoding="utf-8") as file:
        index = json.load(file)
    for op in index["ops"].values():
        op["samples"] = select_op(os.path.join(corpus, op["dir"]), os.path.join(folder, op["dir"]))
    others = index["nets"] + (["optim"] if index["optim"] else [])
    small = []
    for name in others:
        files = [os.path.join(corpus, name, f) for f in sorted(os.listdir(os.path.join(corpus, name)))]
        if name != "optim" and sum(os.path.getsize(f) for f in files) > LARGEST_FOLDER:
            continue
        small.append(name)
        os.makedirs(os.path.join(folder, name))
        for f in files:
            shutil.copyfile(f, os.path.join(folder, name, os.path.basename(f)))
    index["nets"] = [n for n in small if n != "optim"]
    index["ops"] = {
        k: {x: v[x] for x in ("dir", "family", "tier", "samples")} for k, v in index["ops"].items()
    }
    index.pop("bytes", None)
    write_manifest(os.path.join(folder, "INDEX.json"), index)
    shutil.copyfile(os.path.join(corpus, "FORMAT.md"), os.path.join(folder, "FORMAT.md"))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
