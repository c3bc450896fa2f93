"""A small translation language: English sentences and their one translation into an invented language.

What a translator has to learn: a lexicon; agreement of determiners and adjectives with the noun's gender and number,
and of the verb with its subject's number across whatever stands between; order (subject verb object becomes subject
place object verb, adjectives follow their noun); the definite article, which is an ending; the negation, which wraps
around the verb. Every sentence has one translation, so a perfect model reaches BLEU 100.
"""

from typing import Protocol

# fmt: off
NOUNS = [
    "dog", "cat", "bird", "horse", "farmer", "doctor", "teacher", "king", "queen", "sailor", "painter",
    "singer", "baker", "driver", "soldier", "student", "guest", "neighbor", "friend", "brother", "sister",
    "girl", "boy", "river", "mountain", "garden", "house", "tower", "bridge", "castle", "ship", "boat", "car",
    "train", "table", "chair", "window", "door", "book", "letter", "picture", "mirror", "lamp", "flower",
    "tree", "apple", "stone", "road", "forest", "field",
]
ADJECTIVES = [
    "small", "big", "old", "young", "red", "green", "black", "white", "cold", "warm", "slow", "quick",
    "quiet", "loud", "clever", "kind", "proud", "strange", "dark", "bright", "clean", "poor", "rich", "tired",
]
# base form, and the past where it is not base + ed
VERBS = [
    "follow", "call", "help", "paint", "lift", "turn", "clean", "open", "need", "want", "greet", "visit",
    "join", "like", "love", "watch", "admire", "remember", "find+found", "see+saw", "hear+heard", "know+knew",
    "draw+drew", "leave+left", "hold+held", "carry+carried", "build+built", "hide+hid",
]
PLACES = [
    "near", "behind", "under", "above", "beside", "inside", "before", "beyond",
]
# fmt: on
SINGULAR, PLURAL = 0, 1
DETERMINERS = {SINGULAR: ("the", "a", "this", "every"), PLURAL: ("the", "some", "these", "many")}


class Numbers(Protocol):
    """Where choices come from."""

    def below(self, limit: int) -> int:
        """Uniform in [0, limit)."""
        ...


def _stem(number: int, onsets: str, vowels: str, codas: str) -> str:
    """The invented stem number `number`: two syllables, different for different numbers."""
    number, first = divmod(number, len(onsets))
    number, second = divmod(number, len(vowels))
    third = codas[(number + first + 3 * second) % len(codas)]
    return onsets[first] + vowels[second] + third + "aeiou"[number % 5] + codas[first % len(codas)]


NOUN_STEMS = [_stem(i, "bdfgklmnprstvz", "aeiou", "lmnrst") for i in range(len(NOUNS))]
ADJECTIVE_STEMS = ["sh" + _stem(i, "bdgklmnrtv", "aou", "lnr") for i in range(len(ADJECTIVES))]
VERB_STEMS = ["y" + _stem(i, "aeiou", "bdgkmpt", "lnr") for i in range(len(VERBS))]
PLACE_WORDS = ["ulm", "orn", "eft", "isk", "amp", "ont", "urd", "elk"]
NOUN_ENDINGS = (("o", "oi"), ("a", "ai"), ("e", "ei"))  # gender -> singular, plural
DETERMINER_STEMS = {"a": "un", "some": "un", "this": "kw", "these": "kw", "every": "tot", "many": "mult"}
VERB_ENDINGS = {
    ("present", SINGULAR): "et",
    ("present", PLURAL): "ent",
    ("past", SINGULAR): "iv",
    ("past", PLURAL): "ivan",
}


def translation_pair(draw: Numbers) -> tuple[str, str]:
    """One sentence in English and in the invented language."""
    subject, subject_words, number = _noun_phrase(draw)
    place, place_words = _place(draw) if draw.below(5) < 2 else ("", "")
    other, other_words, _ = _noun_phrase(draw)
    verb = draw.below(len(VERBS))
    tense = ("present", "past")[draw.below(2)]
    negated = draw.below(4) == 0
    english = [subject, place, _english_verb(VERBS[verb], tense, number, negated), other]
    invented = VERB_STEMS[verb] + VERB_ENDINGS[tense, number]
    words = [subject_words, place_words, other_words, f"ne {invented} pat" if negated else invented]
    return " ".join(filter(None, english)), " ".join(filter(None, words))


def _noun_phrase(draw: Numbers) -> tuple[str, str, int]:
    number = draw.below(2)
    noun = draw.below(len(NOUNS))
    determiner = DETERMINERS[number][draw.below(4)]
    gender = noun % 3
    ending = NOUN_ENDINGS[gender][number]
    adjectives = [draw.below(len(ADJECTIVES)) for _ in range((0, 1, 1, 2)[draw.below(4)])]
    english = [*(ADJECTIVES[i] for i in adjectives), NOUNS[noun] + ("s" if number == PLURAL else "")]
    article = "an" if determiner == "a" and english[0][0] in "aeiou" else determiner
    if determiner == "the":  # no word of its own
        words = [NOUN_STEMS[noun] + ending + "k"]
    else:
        words = [DETERMINER_STEMS[determiner] + ending, NOUN_STEMS[noun] + ending]
    words += [ADJECTIVE_STEMS[i] + ending for i in adjectives]
    return " ".join([article, *english]), " ".join(words), number


def _place(draw: Numbers) -> tuple[str, str]:
    """A phrase between subject and verb, whose number is not the verb's; postpositions follow their noun."""
    kind = draw.below(len(PLACES))
    phrase, words, _ = _noun_phrase(draw)
    return f"{PLACES[kind]} {phrase}", f"{words} {PLACE_WORDS[kind]}"


def _english_verb(verb: str, tense: str, number: int, negated: bool) -> str:
    base, _, past = verb.partition("+")
    if negated:
        auxiliary = "did" if tense == "past" else ("does", "do")[number]
        return f"{auxiliary} not {base}"
    if tense == "past":
        return past or base + ("d" if base.endswith("e") else "ed")
    if number == PLURAL:
        return base
    if base == "carry":
        return "carries"
    return base + ("es" if base.endswith("ch") else "s")
