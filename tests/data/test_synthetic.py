"""Generated tasks keep what they promise about their pairs, and give the same text as earlier versions did."""

import pytest

from data.corpora import ContentDigest
from data.synthetic import generate
from data.toy_sentiment import BLAME, NEGATIONS, PRAISE

SMALL = {"train": 300, "valid": 30, "test": 30}
RANGES = {"reverse": 24, "sort": 24, "swap": 24, "sub": 24, "copy": 24, "recall": 16, "directed": 12}


def options(name: str) -> dict[str, int]:
    """The sizes of the task's file, but for fewer pairs."""
    own = {"longest": 8, **({"names": 12} if name == "directed" else {})} if RANGES[name] < 24 else {"longest": 12}
    return {**SMALL, "shortest": 4, **own}


def items(name: str, source: str) -> int:
    return len(source.split()) // 2 if name == "recall" else len(source.split())


def digest(splits: dict[str, list[tuple[str, str]]]) -> str:
    content = ContentDigest()
    for split, pairs in splits.items():
        for pair in pairs:
            content.add(split, pair)
    return content.hexdigest()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("reverse", "e8ab7f7a6a0095ee"),
        ("sort", "69bf8a34671fddfe"),
        ("swap", "0dabaae0d655016d"),
        ("sub", "4156e9d182da6ad4"),
        ("copy", "1f0956203408f399"),
        ("recall", "bc8add263aa5d68a"),
        ("toy_translation", "cbc57b6163680f4d"),
    ],
)
def test_a_generated_text_stays_the_text_it_was(name: str, content: str) -> None:
    """Runs of two versions of this project are compared by it."""
    assert digest(generate(name, SMALL)) == content
    assert digest(generate(name, {**SMALL, "long": 0})) == content


@pytest.mark.parametrize("name", RANGES)
def test_long_pairs_are_longer_than_any_other_and_change_no_other(name: str) -> None:
    plain, own = generate(name, options(name)), options(name)
    splits = generate(name, {**own, "long": 40, "longest_long": RANGES[name]})
    long = splits.pop("test_long")
    assert splits == plain and list(splits) == list(plain)
    lengths = {items(name, source) for source, _ in long}
    assert lengths == set(range(own["longest"] + 1, RANGES[name] + 1))
    assert {items(name, source) for pairs in plain.values() for source, _ in pairs} == set(range(4, own["longest"] + 1))
    assert len({source for source, _ in long}) == 40
    assert long == generate(name, {**own, "long": 40, "longest_long": RANGES[name]})["test_long"]


def test_long_pairs_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="give longest and longest_long"):
        generate("toy_translation", {**SMALL, "long": 5})
    with pytest.raises(ValueError, match="give longest and longest_long"):
        generate("copy", {**SMALL, "long": 5, "longest_long": 24})
    with pytest.raises(ValueError, match="longest_long=12 must be above longest=12"):
        generate("copy", {**SMALL, "longest": 12, "long": 5, "longest_long": 12})
    with pytest.raises(ValueError, match="names=8"):
        generate("directed", {**SMALL, "longest": 8, "long": 5, "longest_long": 12})
    with pytest.raises(ValueError, match="names=5"):
        generate("directed", {**SMALL, "names": 5})
    with pytest.raises(ValueError, match="shortest=3"):
        generate("directed", {**SMALL, "shortest": 2})


def test_directed_items_form_one_cycle_and_are_answered_by_their_successor() -> None:
    """One successor and one predecessor each, never the same: no symmetric scores have every row's maximum there."""
    for source, target in generate("directed", {**SMALL, "shortest": 3})["train"]:
        listed = [item.split(":") for item in source.split()]
        content = {name: content for name, _, content in listed}
        pointer = {name: pointer for name, pointer, _ in listed}
        assert target.split() == [content[pointer] for _, pointer, _ in listed]
        walked, place = [], listed[0][0]
        while place not in walked:
            walked.append(place)
            place = pointer[place]
        assert place == listed[0][0] and len(walked) == len(listed) == len(content) >= 3
        assert all(pointer[pointer[name]] != name for name in pointer)


def test_where_an_item_stands_says_nothing_of_where_it_points() -> None:
    """Else positions would answer in the place of names."""
    distances = [0] * 6
    for source, _ in generate("directed", {"train": 3000, "valid": 1, "test": 1, "shortest": 6, "longest": 6})["train"]:
        listed = [item.split(":") for item in source.split()]
        places = {name: place for place, (name, _, _) in enumerate(listed)}
        for place, (_, pointer, _) in enumerate(listed):
            distances[(places[pointer] - place) % 6] += 1
    assert distances[0] == 0 and all(0.18 < count / 18_000 < 0.22 for count in distances[1:])


def judged(sentence: str) -> str:
    """The label by the rules that the file states, read backwards from the words."""

    def praises(clause: str) -> bool:
        words = clause.split()
        return (words[-1] in PRAISE) != any(word in NEGATIONS for word in words)

    main = sentence.split(" but ")[-1].split(" though ")[0]
    return ("negative", "positive")[praises(main)]


def test_opinions_follow_their_rules_and_no_word_tells_them() -> None:
    rows = generate("toy_sentiment", {"train": 6000, "valid": 100, "test": 100})["train"]
    assert all(judged(sentence) == label for sentence, label in rows)
    share: dict[str, list[bool]] = {}
    for sentence, label in rows:
        for word in sentence.split():
            share.setdefault(word, []).append(label == "positive")
    assert all(abs(sum(labels) / len(labels) - 0.5) < 0.1 for labels in share.values())
    forms = {(" but " in s, " though " in s, label) for s, label in rows}
    assert len(forms) == 6
    other = {"but": "though", "though": "but"}
    turned = [
        (" ".join(other.get(word, word) for word in sentence.split()), label)
        for sentence, label in rows
        if " but " in sentence or " though " in sentence
    ]
    assert 0.4 < sum(judged(sentence) != label for sentence, label in turned) / len(turned) < 0.6, "the clause decides"
    assert not set(PRAISE) & set(BLAME)
