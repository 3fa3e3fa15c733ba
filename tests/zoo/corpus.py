"""Training text of the tokenizers, the encoded texts, and the added words."""

from __future__ import annotations

LINES = (
    "the patient takes two tablets a day with water after food",
    "a dog sat on the mat and the cat sat in the hat",
    "Paris is the capital of France and Berlin is the capital of Germany",
    "heart failure and high blood pressure are treated with new drugs",
    "new drugs for the heart were tested in a large trial",
    "concatenate the strings and return the result",
    "doctors and nurses work in the hospital at night",
    "the quick brown fox jumps over the lazy dog",
    "how many people live in London? about nine million people live there",
    "what is the best way to learn a language? practice every day",
    "yes or no: is the answer to the question correct",
    "a query is a short question and a document is a long answer",
    "innovation and research need time, money and patience",
    "she sells sea shells by the sea shore",
    "the results were published in 2019 and in 2024",
    "sentence embeddings map similar sentences to similar vectors",
    "der Hund sitzt auf der Matte und die Katze schläft",
    "le chat est assis sur le tapis près de la fenêtre",
    "el perro duerme en la casa de los niños",
    "café, naïve, déjà vu, Größe, straße",
)
WORDS = tuple(
    dict.fromkeys(word for line in LINES for word in line.replace("?", "").replace(",", "").split())
)
LETTERS = (
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    "äöüßéèêëàâçñïîôûùœæ.,;:!?-()[]'\"/%&+*=#@_"
)

NEW_WORDS = ("zorvaxin", "quelora", "brontazide", "metifenol", "osperidal")
"""The words that the story adds to each model."""
OLD_TEXTS = (
    "the patient takes two tablets a day",
    "Paris is the capital of France",
    "A café in the straße,  new drugs!",
)
"""Texts without an added word."""
TEXTS = (
    *OLD_TEXTS,
    "the patient takes zorvaxin twice a day",
    "quelora and (brontazide)",
    "Metifenol, osperidal-zorvaxin",
)
