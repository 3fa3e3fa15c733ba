"""Folders that are not a complete text model, and models of other kinds."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from tests.zoo import bpe_files, tokenizer_files
from tests.zoo.encoders import bert
from tests.zoo.family import declare
from tests.zoo.tokenizer_files import write_json
from tests.zoo.weights import ENCODER, WIDTH, model_of, sentence_files, write_model

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {size}\n"


def _lfs_pointers(folder: Path) -> None:
    """Write the clone of a repository whose large files are Git LFS pointers."""
    bert(folder, weights={"files": "S"})
    for name in ("model.safetensors", "tokenizer.json"):
        size = (folder / name).stat().st_size
        (folder / name).write_text(POINTER.format(digest="0" * 64, size=size))


SNAPSHOT = "models--sentence-transformers--all-MiniLM-L6-v2/snapshots/" + "c9745ed1" * 5


def _hub_cache(folder: Path) -> None:
    """Write a model into a Hub cache, where each file is a link to a blob."""
    snapshot = folder / SNAPSHOT
    bert(snapshot, length=256)
    blobs = snapshot.parent.parent / "blobs"
    blobs.mkdir()
    for path in sorted(path for path in snapshot.rglob("*") if path.is_file()):
        blob = blobs / hashlib.sha256(path.read_bytes()).hexdigest()
        path.replace(blob)
        path.symlink_to(os.path.relpath(blob, path.parent))
    reference = blobs.parent / "refs" / "main"
    reference.parent.mkdir()
    reference.write_text(snapshot.name)


def _llm2vec(folder: Path) -> None:
    """Write a decoder's config.json and an adapter of it in one folder."""
    from peft import LoraConfig, get_peft_model

    size = bpe_files.llama3(folder)
    sizes = {**ENCODER, "num_key_value_heads": 2}
    model = model_of("LlamaModel", "LlamaConfig", **sizes, vocab_size=size)
    write_model(
        folder,
        model,
        files="",
        config={
            "auto_map": {"AutoModel": "modeling_llama_encoder.LlamaEncoderModel"},
            "_name_or_path": "meta-llama/Meta-Llama-3-8B-Instruct",
        },
    )
    adapted = get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj", "v_proj"]))
    adapted.save_pretrained(folder)


def _clip(folder: Path) -> None:
    """Write a CLIP: a text and an image encoder, the tokenizer in two files."""
    inner = folder / "0_CLIPModel"
    inner.mkdir()
    size = bpe_files.gpt2(inner, tokenizer_class="CLIPTokenizer", json_file=False)
    text = {**ENCODER, "vocab_size": size, "max_position_embeddings": 77, "projection_dim": WIDTH}
    text |= {"bos_token_id": size - 1, "eos_token_id": size - 1, "pad_token_id": size - 1}
    vision = {**ENCODER, "image_size": 32, "patch_size": 16, "projection_dim": WIDTH}
    model = model_of(
        "CLIPModel", "CLIPConfig", text_config=text, vision_config=vision, projection_dim=WIDTH
    )
    write_model(inner, model, files="SB")
    write_json(
        inner / "preprocessor_config.json",
        {
            "crop_size": 32,
            "do_center_crop": True,
            "do_normalize": True,
            "do_resize": True,
            "feature_extractor_type": "CLIPFeatureExtractor",
            "image_mean": [0.48, 0.46, 0.41],
            "image_std": [0.27, 0.26, 0.28],
            "resample": 3,
            "size": 32,
        },
    )
    kind = "sentence_transformers.models.CLIPModel"
    write_json(folder / "modules.json", [{"idx": 0, "name": "0", "path": inner.name, "type": kind}])


def _glove(folder: Path) -> None:
    """Write averaged word vectors with a tokenizer that splits at blanks."""
    import torch
    from sentence_transformers.sentence_transformer.modules import WordEmbeddings
    from sentence_transformers.sentence_transformer.modules.tokenizer import WhitespaceTokenizer

    words = list(tokenizer_files.WORDS)
    generator = torch.Generator().manual_seed(0)
    inner = folder / "0_WordEmbeddings"
    inner.mkdir()
    rows = torch.randn(len(words) + 1, WIDTH, generator=generator)
    WordEmbeddings(WhitespaceTokenizer(["PADDING_TOKEN", *words]), rows).save(str(inner))
    sentence_files(
        folder,
        transformer=inner.name,
        normalize=False,
        versions=None,
        length_file=False,
        transformer_type="sentence_transformers.models.WordEmbeddings",
    )


def _jina_v3(folder: Path) -> None:
    """Write a model whose first module is a class of its own file."""
    bert(folder, weights={"files": "S"})
    text = (folder / "modules.json").read_text("utf-8")
    renamed = text.replace("sentence_transformers.models.Transformer", "custom_st.Transformer")
    (folder / "modules.json").write_text(renamed, "utf-8")
    (folder / "custom_st.py").write_text("class Transformer: ...\n")


declare(
    "hub-cache-of-links",
    ("any, as huggingface_hub keeps it",),
    _hub_cache,
    inner=SNAPSHOT,
    resaves=False,
)
declare("git-lfs-pointers", ("any, cloned without git-lfs",), _lfs_pointers, resaves=False)
declare(
    "LLM2Vec",
    ("McGill-NLP/LLM2Vec-Meta-Llama-3-8B-Instruct-mntp",),
    _llm2vec,
    resaves=False,
    has_class_hint=True,
)
declare(
    "CLIP-ViT-B-32",
    ("sentence-transformers/clip-ViT-B-32", "sentence-transformers/clip-ViT-B-32-multilingual-v1"),
    _clip,
    targets=("q_proj", "v_proj"),
    resaves=False,
)
declare(
    "average-word-embeddings",
    ("sentence-transformers/average_word_embeddings_glove.6B.300d",),
    _glove,
    targets=(),
    resaves=False,
)
declare("jina-embeddings-v3", ("jinaai/jina-embeddings-v3",), _jina_v3, resaves=False)
