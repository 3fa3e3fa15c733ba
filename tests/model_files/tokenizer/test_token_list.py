"""Token lists: how they are read, and what is refused before anything is changed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings, strategies
from tokenizers import AddedToken, normalizers

from registry.errors import InvalidTokens
from registry.model_files.tokenizer.base_vocabulary import Lexicon, whole_texts
from registry.model_files.tokenizer.token_list import Wanted, lint, parse_tokens
from tests.support import small
from tests.support.refusals import raises


@pytest.fixture(scope="module")
def bert() -> Lexicon:
    return Lexicon(small.word_piece().backend_tokenizer)


def assert_refused(words: list[Any], lexicon: Lexicon, *quoted: str, **options: Any) -> None:
    with raises(InvalidTokens, *quoted) as caught:
        lint(parse_tokens(words), lexicon, **options)
    assert "\n" not in str(caught.value)


def test_a_file_holds_one_token_a_line_or_json_with_flags() -> None:
    text = '\ufeffzorvaxin\r\n\ncardio mab\n{"content": "[Q]", "special": true}\n'

    tokens = parse_tokens(text, single_word=True)

    assert tokens == (
        Wanted("zorvaxin", single_word=True),
        Wanted("cardio mab", single_word=True),
        Wanted("[Q]", special=True, single_word=True, normalized=False),
    )


def test_only_a_line_feed_ends_a_token() -> None:
    assert [token.content for token in parse_tokens("one\u2028two\nthree")] == [
        "one\u2028two",
        "three",
    ]


def test_a_tokens_own_flags_win_over_those_for_all() -> None:
    tokens = parse_tokens(
        [{"content": "a1", "special": False, "normalized": False}, "b2"],
        special=True,
        normalized=True,
    )

    assert tokens == (
        Wanted("a1", special=False, normalized=False),
        Wanted("b2", special=True, normalized=True),
    )


FLAGS = ("special", "lstrip", "rstrip", "single_word", "normalized")


@pytest.mark.parametrize(
    ("tokens", "quoted"),
    [
        ({"one", "two"}, ["set", "list"]),
        (frozenset({"one"}), ["set", "list"]),
        ({"content": "one"}, ["{'content': 'one'}", "list"]),
        ([], ["list"]),
        ("\n\n", ["list"]),
        ([3], ["3", '{"content": ']),
        ("{not json", ["token 1 ", "line 1 column 2", '{"content": "{"}']),
        ([{"content": "a", "colour": "red"}], ["'a'", "'colour'", *FLAGS]),
        ([{"content": "a", "special": 1}], ["'a'", "special", "1", "true", "false"]),
        ([{"content": "a", "id": "x"}], ["'a'", "id", "'x'"]),
        ([{"special": True}], ["{'special': True}", '{"content": ']),
    ],
)
def test_what_is_no_ordered_list_of_tokens_is_refused(tokens: Any, quoted: list[str]) -> None:
    with raises(InvalidTokens, *quoted):
        parse_tokens(tokens)


def test_every_malformed_token_is_named_at_once() -> None:
    with raises(InvalidTokens, "'a'", "'x'", *FLAGS, "3", '{"content": '):
        parse_tokens([{"content": "a", "x": 1}, 3])


@pytest.mark.parametrize(
    ("words", "quoted"),
    [
        (["cat"], ["1 of 1 ", "'cat'", "6"]),
        (["[CLS]"], ["1 of 1 ", "'[CLS]'", "2"]),
        (["Cat"], ["1 of 1 ", "'Cat'", "'cat'", "6"]),
        (["zor", "Zorvaxin", "zorvaxin"], ["2 of 3 ", "'zor'", "24", "'zorvaxin'", "'Zorvaxin'"]),
        (["zorváxin", "zorvaxin"], ["1 of 2 ", "'zorvaxin'", "'zorváxin'"]),
        (["zorvaxin", "zorvaxin"], ["1 of 2 ", "'zorvaxin'"]),
        (["zorvé", "zorve\u0301"], ["1 of 2 ", "'zorvé'", "'zorve\u0301'", "Unicode"]),
        ([" zorvaxin"], ["1 of 1 ", "' zorvaxin'", "lstrip", "rstrip"]),
        (["zorvaxin\t"], ["1 of 1 ", r"'zorvaxin\t'", "lstrip", "rstrip"]),
        ([" "], ["1 of 1 ", "' '"]),
        ([""], ["1 of 1 ", "''"]),
        (["\u200d"], ["1 of 1 ", r"'\u200d'"]),
        (["😀"], ["1 of 1 ", "'😀'", "random"]),
        (["\ud800"], ["1 of 1 ", r"'\ud800'"]),
        ([{"content": "zorvaxin", "id": 7}], ["1 of 1 ", "'zorvaxin'", "7", "107"]),
        (["[cls]"], ["1 of 1 ", "'[cls]'", "'[CLS]'", "2"]),
    ],
)
def test_a_token_that_would_do_harm_is_refused(
    bert: Lexicon, words: list[Any], quoted: list[str]
) -> None:
    assert_refused(words, bert, *quoted)


def test_all_bad_tokens_are_reported_in_one_line(bert: Lexicon) -> None:
    words = ["zorvaxin", "cat", " x1", "😀"]
    assert_refused(words, bert, "3 of 4 ", "'cat'", "6", "' x1'", "'😀'")


def test_tokens_that_are_there_can_be_skipped(bert: Lexicon) -> None:
    linted = lint(parse_tokens(["cat", "zorvaxin", "Dog"]), bert, skip_existing=True)

    assert linted.skipped == ("cat", "Dog")
    assert [token.content for token in linted.tokens] == ["zorvaxin"]


def test_nothing_left_to_add_is_said(bert: Lexicon) -> None:
    assert_refused(["cat", "dog"], bert, "2 ", skip_existing=True)


def test_tokens_that_are_not_normalised_keep_their_case_apart(bert: Lexicon) -> None:
    linted = lint(parse_tokens(["Zorvaxin", "ZORVAXIN"], normalized=False), bert)

    assert len(linted.tokens) == 2


def test_an_emoji_can_be_added_where_its_row_needs_no_pieces(bert: Lexicon) -> None:
    linted = lint(parse_tokens(["😀"]), bert, needs_pieces=False)

    assert linted.pieces == ((),)


def test_pieces_are_those_before_any_token_is_added(bert: Lexicon) -> None:
    linted = lint(parse_tokens(["zor", "zorvaxin"]), bert, skip_existing=True)

    assert [bert.contents[id] for id in linted.pieces[0]] == ["zor", "##va", "##xin"]


def test_special_tokens_are_no_pieces_of_a_word(bert: Lexicon) -> None:
    assert bert.ids["[SEP]"] in bert.pieces("zor[SEP]cat")

    (pieces,) = lint(parse_tokens(["zor[SEP]cat"]), bert).pieces

    assert [bert.contents[id] for id in pieces] == ["zor", "cat"]


def test_a_plain_token_inside_ordinary_words_is_warned_of_with_the_words(bert: Lexicon) -> None:
    (warning,) = lint(parse_tokens(["ova"]), bert).warnings

    assert "'ova' is found inside ordinary words (innovation)" in warning


def test_a_single_word_token_is_not_warned_of(bert: Lexicon) -> None:
    assert lint(parse_tokens(["ova"], single_word=True), bert).warnings == ()


@pytest.mark.parametrize(
    ("word", "flags", "said"),
    [
        (
            "HeartMat",
            {"normalized": False},
            "'HeartMat' is found only as it is spelled, not as 'heartmat'",
        ),
        (
            "heart mat",
            {"single_word": True},
            "'heart mat' holds a blank, and is found only where exactly that stands",
        ),
    ],
)
def test_a_token_that_many_texts_miss_is_warned_of(
    bert: Lexicon, word: str, flags: dict[str, bool], said: str
) -> None:
    tokenizer = small.word_piece()
    tokenizer.add_tokens([AddedToken(word, **flags)])
    id = tokenizer.convert_tokens_to_ids(word)
    assert id in tokenizer(word)["input_ids"]
    assert id not in [*tokenizer("heartmat")["input_ids"], *tokenizer("heart  mat")["input_ids"]]

    (warning,) = lint(parse_tokens([word], **flags), bert).warnings

    assert said in warning


def test_a_special_token_is_meant_as_it_is_spelled(bert: Lexicon) -> None:
    assert lint(parse_tokens(["[DRUG]"], special=True), bert, needs_pieces=False).warnings == ()


def test_a_byte_level_word_with_a_blank_in_front_counts_as_there() -> None:
    lexicon = Lexicon(small.byte_level().backend_tokenizer)

    assert_refused(["cat"], lexicon, "1 of 1 ", "'cat'", "294")


def test_a_unigram_word_with_a_mark_in_front_counts_as_there_and_a_lone_mark_is_no_piece() -> None:
    lexicon = Lexicon(small.unigram().backend_tokenizer)

    linted = lint(parse_tokens(["zx"]), lexicon)

    assert_refused(["cat"], lexicon, "1 of 1 ", "'cat'", "7")
    assert [lexicon.contents[id] for id in linted.pieces[0]] == ["z", "x"]


def test_a_vocabulary_with_holes_in_its_ids_is_refused() -> None:
    from tokenizers import Tokenizer, models

    holed = Tokenizer(models.WordLevel({"[UNK]": 0, "cat": 1, "dog": 5}, unk_token="[UNK]"))

    assert_refused(["zorvaxin"], Lexicon(holed), "3", "5", "2")


@settings(max_examples=60)
@given(
    words=strategies.lists(
        strategies.text(strategies.sampled_from("aAáe\u0301cotCOT -.3😀中\u200d"), max_size=6),
        min_size=1,
        max_size=6,
    ),
    special=strategies.booleans(),
    single_word=strategies.booleans(),
)
def test_what_lint_lets_through_becomes_one_token_each_in_order(
    words: list[str], special: bool, single_word: bool
) -> None:
    from tokenizers import AddedToken

    backend = small.word_piece().backend_tokenizer
    lexicon = Lexicon(backend)

    try:
        linted = lint(
            parse_tokens(
                [{"content": word} for word in words], special=special, single_word=single_word
            ),
            lexicon,
        )
    except InvalidTokens:
        return

    backend.add_tokens(
        [
            AddedToken(
                token.content,
                special=token.special,
                single_word=token.single_word,
                normalized=token.normalized,
            )
            for token in linted.tokens
        ]
    )
    assert [
        backend.encode(token.content, add_special_tokens=False).ids for token in linted.tokens
    ] == [[lexicon.size + index] for index in range(len(linted.tokens))]


def without_blank_signs() -> Lexicon:
    """Return a tokenizer whose normalizer takes `▁` for a blank and strips outer blanks."""
    raw = small.word_piece().backend_tokenizer
    raw.normalizer = normalizers.Sequence(
        [normalizers.Replace("▁", " "), normalizers.Strip(), normalizers.Lowercase()]
    )
    return Lexicon(raw)


@pytest.mark.parametrize("word", ["##zorv", "▁zorv", "Ġzorv", "zorv</w>", "zorv@@", "▁zorv▁"])
@pytest.mark.parametrize("build", [small.word_piece, small.byte_level, small.unigram])
def test_a_marker_that_the_plain_word_does_not_produce_is_refused(build: Any, word: str) -> None:
    lexicon = Lexicon(build().backend_tokenizer)

    assert_refused([word], lexicon, f"'{word}'", "'zorv'", "--literal", "literal=True")
    with raises(InvalidTokens, "'zorv'"):
        lint(parse_tokens([{"content": word}]), lexicon)
    linted = lint(parse_tokens([word]), lexicon, needs_pieces=False, literal=True)
    assert [token.content for token in linted.tokens] == [word]


def test_a_marker_that_the_plain_word_produces_is_registered() -> None:
    lexicon = without_blank_signs()

    assert [token.content for token in lint(parse_tokens(["▁zorv"]), lexicon).tokens] == ["▁zorv"]
    assert_refused([{"content": "▁zorv", "normalized": False}], lexicon, "'▁zorv'", "--literal")


def test_blanks_inside_a_marked_token_are_offered_as_blanks(bert: Lexicon) -> None:
    assert_refused(["▁zorv▁axin"], bert, "'zorv axin'")


def test_a_marked_word_whose_plain_word_exists_names_its_id(bert: Lexicon) -> None:
    assert_refused(["##cat"], bert, "'##cat'", "'cat'", "6")


@pytest.mark.parametrize("word", ["##", "▁", "@@"])
def test_a_marker_alone_is_a_word(bert: Lexicon, word: str) -> None:
    linted = lint(parse_tokens([word]), bert, needs_pieces=False)

    assert [token.content for token in linted.tokens] == [word]


def test_existing_words_name_the_option_that_skips_them(bert: Lexicon) -> None:
    assert_refused(["cat", "zorvaxin"], bert, "'cat'", "--skip-existing", "skip_existing=True")


@pytest.mark.parametrize("word", ["# comment", '"zorvaxin"', "'zorvaxin'", "«zorvaxin»"])
def test_comments_and_quoted_words_are_refused_unless_literal(word: str) -> None:
    with raises(InvalidTokens, repr(word), "--literal", "literal=True"):
        parse_tokens([word])
    assert parse_tokens([word], literal=True) == (Wanted(word),)
    assert parse_tokens([{"content": word}]) == (Wanted(word),)


def test_looking_at_whole_words_leaves_truncation_and_padding_as_they_were() -> None:
    backend = small.word_piece().backend_tokenizer
    backend.enable_truncation(4, stride=1, direction="left")
    backend.enable_padding(pad_id=0, pad_token="[PAD]", length=6)
    before = backend.to_str()

    with whole_texts(backend):
        assert len(Lexicon(backend).pieces("the cat sat on the mat")) == 6

    assert backend.to_str() == before
