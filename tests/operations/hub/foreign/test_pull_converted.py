"""pull --convert: a repository with pickles, from the Hub to an adapter and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.errors import is_one_error
from tests.support import lively
from tests.support.hub.lines import Place
from tests.support.hub_server import HubServer
from tests.zoo import families
from tests.zoo.corpus import NEW_WORDS, OLD_TEXTS, TEXTS
from tests.zoo.story import train


def publish(hub: HubServer, repository: str, folder: Path) -> str:
    """Commit all files of a folder; return the commit."""
    return hub.commit(
        repository,
        {
            str(path.relative_to(folder)): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        },
    )


@pytest.mark.slow
def test_a_pulled_pickle_is_extended_trained_pushed_and_pulled(
    there: Place, hub: HubServer, tmp_path: Path
) -> None:
    """As plain Sentence Transformers encodes with the pickle, to the bit."""
    folder = families.build("bge-m3", tmp_path / "bge-m3")
    (folder / "tokenizer.json").unlink()
    expected = lively.encodings(lively.loaded(folder, "SentenceTransformer"), TEXTS)
    commit = publish(hub, "BAAI/bge-m3", folder)

    refused = there.run("pull", "hf://BAAI/bge-m3")
    assert is_one_error(refused.err)
    command = refused.err.strip().rpartition("hint: registry ")[2]
    there.ok(*command.split())

    with there.registry as reg:
        version = reg.resolve("bge-m3@1")
        assert version.source["hub"] == {"repository": "BAAI/bge-m3", "commit": commit}
        assert [file["path"] for file in version.source["converted"]["files"]] == [
            "pytorch_model.bin",
            "sentencepiece.bpe.model",
        ]
        assert lively.encodings(reg.load("bge-m3"), TEXTS) == expected
        checkout = reg.checkout("bge-m3@1").folder
        assert lively.encodings(lively.loaded(checkout, "SentenceTransformer"), TEXTS) == expected
        reg.resize("bge-m3@1", "bge-m3-medical", list(NEW_WORDS))
        resized = lively.loaded(reg.checkout("bge-m3-medical@1").folder, "SentenceTransformer")
        assert lively.encodings(resized, OLD_TEXTS) == expected[: len(OLD_TEXTS)]
        train(resized, families.split_name("bge-m3")[0])
        trained = lively.encodings(resized, TEXTS)
        lively.save(resized, tmp_path / "adapter")
        added = reg.add(tmp_path / "adapter", "medical")
        assert (added.evidence, added.parent) == ("witnessed", "bge-m3-medical@1")
        assert lively.encodings(reg.load("medical"), TEXTS) == trained
    there.ok("push", "medical@1", "--to", "org/medical", "--parents-to", "org", "--all-parents")
    assert not any(path.endswith(".bin") for path in hub.files("org/bge-m3"))

    elsewhere = there.empty(tmp_path / "elsewhere")
    elsewhere.ok("pull", "hf://org/medical")
    assert elsewhere.digests() == there.digests()
    with elsewhere.registry as reg:
        assert lively.encodings(reg.load("medical"), TEXTS) == trained
        assert reg.resolve("bge-m3@1").source["converted"] == version.source["converted"]
