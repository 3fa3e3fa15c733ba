"""What loading through the registry costs beyond what sentence-transformers takes for the same folder, models imported."""

from __future__ import annotations

from pathlib import Path

from _measure import Row, home_with_a_line, in_turn, table

ROUNDS = 21
REFERENCES = {"base minilm@1": "minilm@1", "resized medical-base@1": "medical-base@1", "adapter medical@1": "medical@1"}


def main() -> None:
    import registry
    with home_with_a_line() as home:
        rows = []
        for what, reference in REFERENCES.items():
            folder = registry.checkout(reference, home=home).folder
            taken = in_turn({"ours": lambda reference=reference: registry.load(reference, home=home, device="cpu"),
                             "peer": lambda folder=folder: _plainly(folder)}, ROUNDS, warm=2)
            rows.append(Row(f"registry.load, {what}", taken["ours"], taken["peer"], 1.10, slack=0.008))
        table("SentenceTransformer(folder)", rows)


def _plainly(folder: Path) -> object:
    from sentence_transformers import SentenceTransformer
    return SentenceTransformer(str(folder), device="cpu", local_files_only=True)


if __name__ == "__main__":
    main()
