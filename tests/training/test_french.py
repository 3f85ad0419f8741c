"""The parallel corpus: right French, true alignments, and a test of new combinations of known words."""

import re
from collections.abc import Callable, Iterator
from itertools import chain, islice, pairwise

import pytest

from attnviz.text import Span
from attnviz.training.corpus import Split
from attnviz.training.corpus.french import Alignment, Pair, lemmas, pairs
from attnviz.training.corpus.french import phrases as say
from attnviz.training.corpus.french.clauses import Action, Command, Existence, Predication, say_joined
from attnviz.training.corpus.french.conjugation import regular
from attnviz.training.corpus.french.finite import Modal, Negation, Tense
from attnviz.training.corpus.french.generation import LONGEST
from attnviz.training.corpus.french.holdout import is_held_out
from attnviz.training.corpus.french.lexicon import lexicon, table
from attnviz.training.corpus.french.phrases import Coordination, Determiner, NounPhrase
from attnviz.training.corpus.french.spelling import Draft, starts_with_vowel
from attnviz.training.corpus.french.words import Adjective, Noun, Verb
from tests.interpreter import run_python

MY, YOUR, HIS, _, OUR, THEIR = say.POSSESSIVES
THIS, THESE = say.DEMONSTRATIVES[0], say.PLURAL_DEMONSTRATIVES[0]
TWO = say.NUMERALS[0]
PAST, NOT, CONTRACTED = Tense.PAST, Negation.FULL, Negation.CONTRACTED


def noun(lemma: str) -> Noun:
    return lexicon().nouns[lemma]


def verb(lemma: str) -> Verb:
    return lexicon().verbs[lemma]


def adjectives(lemmas: str) -> tuple[Adjective, ...]:
    return tuple(lexicon().adjectives[lemma] for lemma in lemmas.split())


def thing(determiner: Determiner, lemma: str, described: str = "", *, conjoined: bool = False) -> NounPhrase:
    return NounPhrase(noun(lemma), determiner, False, adjectives(described), conjoined)


def things(determiner: Determiner, lemma: str, described: str = "") -> NounPhrase:
    return NounPhrase(noun(lemma), determiner, True, adjectives(described))


def person(name: str) -> NounPhrase:
    return NounPhrase(next(entry for entry in lexicon().names if entry.english.lemma == name))


def said(saying: Callable[[Draft], None], mark: str = "") -> Pair:
    draft = Draft()
    saying(draft)
    return draft.finish(capital=False, mark=mark)


THE, A = say.THE, say.A

PHRASES = [
    (thing(THE, "car", "red"), "the red car", "la voiture rouge"),
    (thing(A, "house", "big"), "a big house", "une grande maison"),
    (things(TWO, "dog", "small"), "two small dogs", "deux petits chiens"),
    (thing(THE, "man"), "the man", "l'homme"),
    (thing(A, "apple"), "an apple", "une pomme"),
    (thing(THE, "hero"), "the hero", "le héros"),
    (thing(THE, "axe", "old"), "the old axe", "la vieille hache"),
    (thing(A, "man", "old"), "an old man", "un vieil homme"),
    (things(THE, "man", "old"), "the old men", "les vieux hommes"),
    (thing(A, "bird", "beautiful"), "a beautiful bird", "un bel oiseau"),
    (thing(THIS, "tree", "new"), "this new tree", "ce nouvel arbre"),
    (thing(THIS, "tree"), "this tree", "cet arbre"),
    (thing(MY, "school"), "my school", "mon école"),
    (thing(MY, "school", "small"), "my small school", "ma petite école"),
    (thing(HIS, "story", "sad"), "his sad story", "son histoire triste"),
    (things(THEIR, "horse"), "their horses", "leurs chevaux"),
    (things(say.BARE, "house", "big"), "big houses", "de grandes maisons"),
    (things(say.BARE, "house", "white"), "white houses", "des maisons blanches"),
    (things(THESE, "shoe", "orange"), "these orange shoes", "ces chaussures orange"),
    (things(say.MANY, "friend"), "many friends", "beaucoup d'amis"),
    (thing(say.PARTITIVE, "water"), "water", "de l'eau"),
    (thing(say.PARTITIVE, "bread", "fresh"), "fresh bread", "du pain frais"),
    (thing(A, "car", "big red"), "a big red car", "une grande voiture rouge"),
    (thing(A, "car", "red expensive", conjoined=True), "a red and expensive car", "une voiture rouge et chère"),
    (
        NounPhrase(noun("hat"), say.GENERIC, possessor=thing(THE, "boy"), adjectives=adjectives("red")),
        "the boy's red hat",
        "le chapeau rouge du garçon",
    ),
    (NounPhrase(noun("dog"), say.GENERIC, possessor=person("Anna")), "Anna's dog", "Le chien d'Anna"),
]

CAT, DOG = thing(THE, "cat"), thing(THE, "dog")
STATEMENTS = [
    (Predication(thing(THE, "car"), adjectives("red")), "the car is red", "la voiture est rouge"),
    (Predication(things(THE, "table"), adjectives("old")), "the tables are old", "les tables sont vieilles"),
    (
        Predication(Coordination(thing(THE, "girl"), thing(THE, "boy")), adjectives("happy")),
        "the girl and the boy are happy",
        "la fille et le garçon sont heureux",
    ),
    (
        Predication(person("Mary"), adjectives("tired"), tense=PAST, very=True),
        "Mary was very tired",
        "Mary était très fatiguée",
    ),
    (Predication(say.SHE, adjectives("hungry")), "she is hungry", "elle a faim"),
    (Predication(say.HE, adjectives("scared"), negation=NOT), "he is not scared", "il n'a pas peur"),
    (
        Predication(thing(THE, "book"), place=thing(THE, "table"), preposition="on"),
        "the book is on the table",
        "le livre est sur la table",
    ),
    (
        Predication(CAT, place=things(THE, "house"), preposition="near"),
        "the cat is near the houses",
        "le chat est près des maisons",
    ),
    (Action(DOG, verb("eat"), thing(THE, "bread")), "the dog eats the bread", "le chien mange le pain"),
    (Action(say.I, verb("like"), things(say.GENERIC, "cat")), "I like cats", "J'aime les chats"),
    (
        Action(say.WE, verb("eat"), thing(THE, "cake"), tense=Tense.PROGRESSIVE),
        "we are eating the cake",
        "nous mangeons le gâteau",
    ),
    (
        Action(say.THEY, verb("open"), thing(THE, "door"), tense=PAST, negation=CONTRACTED),
        "they didn't open the door",
        "ils n'ont pas ouvert la porte",
    ),
    (Action(say.HE, verb("love"), person("Anna"), negation=NOT), "he does not love Anna", "il n'adore pas Anna"),
    (Action(say.YOU, verb("talk"), thing(THE, "king")), "you talk to the king", "tu parles au roi"),
    (Action(say.SHE, verb("listen"), thing(MY, "friend")), "she listens to my friend", "elle écoute mon ami"),
    (
        Action(CAT, verb("sleep"), modal=Modal.CAN, negation=CONTRACTED),
        "the cat can't sleep",
        "le chat ne peut pas dormir",
    ),
    (
        Action(DOG, verb("drink"), thing(say.PARTITIVE, "water"), modal=Modal.WANT),
        "the dog wants to drink water",
        "le chien veut boire de l'eau",
    ),
    (
        Action(say.HE, verb("eat"), thing(say.PARTITIVE, "cheese"), tense=PAST, adverb=lexicon().adverbs["often"]),
        "he often ate cheese",
        "il a souvent mangé du fromage",
    ),
    (
        Action(say.SHE, verb("walk"), tense=PAST, adverb=lexicon().adverbs["slowly"]),
        "she walked slowly",
        "elle a marché lentement",
    ),
    (
        Action(say.I, verb("give"), thing(A, "book"), "to", things(THE, "child"), tense=PAST),
        "I gave a book to the children",
        "J'ai donné un livre aux enfants",
    ),
    (
        Existence(thing(A, "man"), "in front of", thing(THE, "school")),
        "there is a man in front of the school",
        "il y a un homme devant l'école",
    ),
    (
        Existence(things(say.BARE, "bird"), "in", thing(THE, "tree"), PAST),
        "there were birds in the tree",
        "il y avait des oiseaux dans l'arbre",
    ),
    (Command(verb("go"), thing(THE, "school")), "go to the school", "va à l'école"),
    (Command(verb("open"), thing(THE, "window")), "open the window", "ouvre la fenêtre"),
    (Command(verb("take"), thing(YOUR, "coat"), negation=NOT), "do not take your coat", "ne prends pas ton manteau"),
]

RED = Predication(thing(THE, "car"), adjectives("red"))
OTHERS: list[tuple[Callable[[Draft], None], str, str]] = [
    (RED.ask, "is the car red", "est-ce que la voiture est rouge"),
    (Action(say.HE, verb("sleep")).ask, "does he sleep", "est-ce qu'il dort"),
    (Action(say.SHE, verb("see"), DOG, tense=PAST).ask, "did she see the dog", "est-ce qu'elle a vu le chien"),
    (Predication(things(MY, "key"), tense=PAST).ask_where, "where were my keys", "où étaient mes clés"),
    (Action(say.WHO, verb("eat"), thing(THE, "soup")).say, "who eats the soup", "qui mange la soupe"),
    (Existence(thing(A, "dog")).ask, "is there a dog", "est-ce qu'il y a un chien"),
    (
        lambda draft: say_joined(
            Action(CAT, verb("sleep")), "because", Predication(say.HE, adjectives("tired")), draft
        ),
        "the cat sleeps because he is tired",
        "le chat dort parce qu'il est fatigué",
    ),
    (
        lambda draft: say_joined(Action(say.I, verb("think")), "that", RED, draft),
        "I think that the car is red",
        "Je pense que la voiture est rouge",
    ),
]
CASES = [(what.say, english, french) for what, english, french in (*PHRASES, *STATEMENTS)] + OTHERS


@pytest.mark.parametrize(("saying", "english", "french"), CASES, ids=[english for _, english, _ in CASES])
def test_french_says_what_english_says(saying: Callable[[Draft], None], english: str, french: str) -> None:
    pair = said(saying)
    assert (pair.english, pair.french) == (english, french)


@pytest.mark.parametrize(
    ("infinitive", "forms"),
    [
        ("parler", "parle parles parle parlons parlent parlé"),
        ("manger", "mange manges mange mangeons mangent mangé"),
        ("lancer", "lance lances lance lançons lancent lancé"),
        ("acheter", "achète achètes achète achetons achètent acheté"),
        ("appeler", "appelle appelles appelle appelons appellent appelé"),
        ("protéger", "protège protèges protège protégeons protègent protégé"),
        ("lécher", "lèche lèches lèche léchons lèchent léché"),
        ("nettoyer", "nettoie nettoies nettoie nettoyons nettoient nettoyé"),
        ("fermer", "ferme fermes ferme fermons ferment fermé"),
        ("regarder", "regarde regardes regarde regardons regardent regardé"),
        ("finir", "finis finis finit finissons finissent fini"),
        ("vendre", "vends vends vend vendons vendent vendu"),
    ],
)
def test_regular_verbs_are_conjugated_by_rule(infinitive: str, forms: str) -> None:
    conjugation = regular(infinitive)
    assert " ".join((*conjugation.present, conjugation.participle)) == forms


@pytest.mark.parametrize(
    ("lemma", "forms"),
    [
        ("white", "blanc blanche blancs blanches"),
        ("beautiful", "beau belle beaux belles"),
        ("old", "vieux vieille vieux vieilles"),
        ("happy", "heureux heureuse heureux heureuses"),
        ("loyal", "loyal loyale loyaux loyales"),
        ("expensive", "cher chère chers chères"),
        ("orange", "orange orange orange orange"),
        ("dry", "sec sèche secs sèches"),
        ("gray", "gris grise gris grises"),
        ("blue", "bleu bleue bleus bleues"),
        ("aggressive", "agressif agressive agressifs agressives"),
        ("good", "bon bonne bons bonnes"),
    ],
)
def test_adjectives_have_their_four_forms(lemma: str, forms: str) -> None:
    (adjective,) = adjectives(lemma)
    found = [adjective.form(feminine=feminine, plural=plural) for plural in (False, True) for feminine in (False, True)]
    assert " ".join(found) == forms


@pytest.mark.parametrize(
    ("lemma", "plural"),
    [
        ("horse", "chevaux"), ("boat", "bateaux"), ("owl", "hiboux"), ("eye", "yeux"), ("mouse", "souris"),
        ("nose", "nez"), ("game", "jeux"), ("grandmother", "grands-mères"), ("hole", "trous"),
    ],
)  # fmt: skip
def test_nouns_have_their_plural(lemma: str, plural: str) -> None:
    assert noun(lemma).plural == plural


@pytest.mark.parametrize(("word", "elides"), [("homme", True), ("hérisson", False), ("haricots", False), ("Éva", True)])
def test_some_words_in_h_forbid_elision(word: str, elides: bool) -> None:
    assert starts_with_vowel(word) is elides


def test_an_alignment_points_from_each_word_to_the_one_that_says_it() -> None:
    pair = said(Action(say.HE, verb("see"), thing(THE, "man", "old"), tense=PAST, negation=NOT).say, ".")
    assert pair.french == "il n'a pas vu le vieil homme."
    found = {
        (pair.english[slice(*link.source)], pair.french[slice(*link.target)], link.content) for link in pair.alignment
    }
    assert found == {
        ("he", "il", False),
        ("not", "pas", False),
        ("see", "vu", True),
        ("the", "le", False),
        ("old", "vieil", True),
        ("man", "homme", True),
    }


def test_a_contraction_says_both_words_that_it_is_made_of() -> None:
    pair = said(Predication(CAT, preposition="near", place=things(THE, "house")).say)
    found = {(pair.english[slice(*link.source)], pair.french[slice(*link.target)]) for link in pair.alignment}
    assert found >= {("near", "près"), ("near", "des"), ("the", "des"), ("houses", "maisons")}


@pytest.fixture(scope="module")
def all_of_train() -> Iterator[Pair]:
    """The pairs for training in their order; `train` takes the first."""
    return pairs(Split.TRAIN, 0)


@pytest.fixture(scope="module")
def train(all_of_train: Iterator[Pair]) -> list[Pair]:
    return list(islice(all_of_train, 20_000))


@pytest.fixture(scope="module")
def held_out() -> list[Pair]:
    return list(islice(pairs(Split.TEST, 0), 3_000))


@pytest.fixture(scope="module")
def both(train: list[Pair], held_out: list[Pair]) -> list[Pair]:
    return [*train, *held_out]


def english_words(text: str) -> dict[Span, str]:
    return {match.span(): match.group() for match in re.finditer(r"[a-z']+", text.lower())}


def french_words(text: str) -> dict[Span, str]:
    return {match.span(): match.group() for match in re.finditer(r"[^\s'.?]+'?", text.lower())}


def plain(text: str) -> str:
    return text.lower().rstrip(".?")


def test_every_aligned_span_is_one_whole_word(both: list[Pair]) -> None:
    for pair in both:
        english, french = english_words(pair.english), french_words(pair.french)
        for link in pair.alignment:
            assert link.source in english and link.target in french, pair


def test_every_noun_adjective_verb_adverb_and_name_is_aligned_once(both: list[Pair]) -> None:
    for pair in both:
        content = [link for link in pair.alignment if link.content]
        assert content, pair
        assert len({link.source for link in content}) == len(content) == len({link.target for link in content}), pair


def test_both_sides_are_spelled_alike(both: list[Pair]) -> None:
    for pair in both:
        assert pair.english[0].isupper() == pair.french[0].isupper(), pair
        assert re.search(r"[.?]?$", pair.english)[0] == re.search(r"[.?]?$", pair.french)[0], pair  # type: ignore[index]
        assert "  " not in pair.english + pair.french


def test_no_text_is_longer_than_fifteen_words(both: list[Pair]) -> None:
    lengths = {len(pair.english.split()) for pair in both}
    assert lengths == set(range(1, LONGEST + 1)) == set(range(1, 16))


def test_one_english_text_has_one_french(both: list[Pair]) -> None:
    french: dict[str, str] = {}
    for pair in both:
        assert french.setdefault(plain(pair.english), plain(pair.french)) == plain(pair.french), pair


def test_french_elides_and_contracts_wherever_it_must(both: list[Pair]) -> None:
    """No vowel after a full form, no consonant after an elided one, for initials that leave no doubt."""
    for pair in both:
        text = plain(pair.french)
        assert not re.search(r"\b(le|la|de|ne|je|que|ma|ta|sa|ce|beau|nouveau) [aeioéèêâîôûœ]", text), text
        assert not re.search(r"\b(l|d|n|j|qu)'[bcdfgjklmnpqrstvwxz]", text), text
        assert not re.search(r"\b(à|de) les?\b", text), text


GENDERS = {
    "voiture": "f", "maison": "f", "table": "f", "porte": "f", "chaise": "f", "ville": "f", "femme": "f", "clé": "f",
    "pomme": "f", "chemise": "f", "rue": "f", "souris": "f", "chien": "m", "chat": "m", "livre": "m", "cheval": "m",
    "garçon": "m", "gâteau": "m", "lit": "m", "mur": "m", "roi": "m", "train": "m", "bateau": "m", "jardin": "m",
}  # fmt: skip
DETERMINERS = {
    "m": {"le", "un", "mon", "ton", "son", "ce", "du", "au"},
    "f": {"la", "une", "ma", "ta", "sa", "cette"},
}
FORMS = {
    "red": ("rouge", "rouge", "rouges", "rouges"),
    "green": ("vert", "verte", "verts", "vertes"),
    "white": ("blanc", "blanche", "blancs", "blanches"),
    "big": ("grand", "grande", "grands", "grandes"),
    "small": ("petit", "petite", "petits", "petites"),
    "old": ("vieux", "vieille", "vieux", "vieilles"),
    "beautiful": ("beau", "belle", "beaux", "belles"),
    "expensive": ("cher", "chère", "chers", "chères"),
    "brown": ("marron", "marron", "marron", "marron"),
}
PLURALS = {"chevaux": "cheval", "gâteaux": "gâteau", "bateaux": "bateau"}


def test_a_determiner_agrees_with_the_noun_after_it(both: list[Pair]) -> None:
    checked = 0
    for pair in both:
        for determiner, word in pairwise(french_words(pair.french).values()):
            if word in GENDERS and determiner in DETERMINERS["m"] | DETERMINERS["f"]:
                assert determiner in DETERMINERS[GENDERS[word]], pair
                checked += 1
    assert checked > 2_000


def target(pair: Pair, source: Span) -> str:
    links: list[Alignment] = [link for link in pair.alignment if link.source == source]
    return pair.french[slice(*links[0].target)].lower()


def test_an_adjective_agrees_with_the_noun_that_it_describes(both: list[Pair]) -> None:
    checked = 0
    for pair in both:
        for (described, adjective), (span, _) in pairwise(english_words(pair.english).items()):
            if adjective not in FORMS or not any(link.source == span for link in pair.alignment if link.content):
                continue
            spoken = target(pair, span)
            singular = PLURALS.get(spoken, spoken if spoken in GENDERS else spoken.removesuffix("s"))
            if singular in GENDERS and singular != "souris":
                place = (GENDERS[singular] == "f") + 2 * (spoken != singular)
                assert target(pair, described) == FORMS[adjective][place], pair
                checked += 1
    assert checked > 300


@pytest.mark.parametrize("split", Split)
def test_a_seed_fixes_the_pairs(split: Split) -> None:
    assert list(islice(pairs(split, 5), 200)) == list(islice(pairs(split, 5), 200))


def test_a_seed_fixes_the_pairs_in_every_process() -> None:
    program = (
        "from itertools import islice; from attnviz.training.corpus import Split;"
        "from attnviz.training.corpus.french import pairs;"
        "print(ascii(list(islice(pairs(Split.TRAIN, 5), 50))))"
    )
    assert run_python(program).strip() == ascii(list(islice(pairs(Split.TRAIN, 5), 50)))


def test_another_seed_gives_other_pairs() -> None:
    assert list(islice(pairs(Split.TRAIN, 1), 20)) != list(islice(pairs(Split.TRAIN, 2), 20))


def adjacent_combinations(pair: Pair) -> set[tuple[str, str]]:
    """Adjective and noun of bare phrases, found in the English text alone."""
    known = lexicon()
    words = list(english_words(pair.english).values())
    return {(a, b) for a, b in pairwise(words) if a in known.adjectives and b in known.nouns}


def test_training_never_shows_a_combination_that_is_held_out(train: list[Pair]) -> None:
    shown = set().union(*map(adjacent_combinations, train))
    assert len(shown) > 2_000
    assert not [combination for combination in shown if is_held_out(*combination)]


def test_short_test_phrases_show_a_combination_that_is_held_out(held_out: list[Pair]) -> None:
    phrases = [pair for pair in held_out if re.fullmatch(r"(a|the) \w+ \w+", plain(pair.english))]
    described = [found for pair in phrases if (found := adjacent_combinations(pair))]
    assert len(described) > 50
    assert all(any(is_held_out(*combination) for combination in found) for found in described)


def test_no_test_text_is_in_training(train: list[Pair], held_out: list[Pair]) -> None:
    assert not {plain(pair.english) for pair in train} & {plain(pair.english) for pair in held_out}


def test_every_word_of_a_test_text_occurs_in_training(
    train: list[Pair], all_of_train: Iterator[Pair], held_out: list[Pair]
) -> None:
    unseen = {word for pair in held_out for word in english_words(pair.english).values()}
    for pair in chain(train, islice(all_of_train, 80_000)):
        unseen.difference_update(english_words(pair.english).values())
        if not unseen:
            break
    assert unseen == set()


def test_the_red_car_is_for_everyone() -> None:
    assert not is_held_out("red", "car")


def test_the_lexicon_has_the_commonest_words() -> None:
    sizes = lemmas()
    assert sizes["total"] == sum(count for label, count in sizes.items() if label != "total") >= 600
    assert sizes["noun"] >= 330 and sizes["adjective"] >= 110 and sizes["verb"] >= 150
    known = lexicon()
    common = "man woman boy girl child dog cat horse bird car house street book table door window tree water bread"
    assert set(common.split()) <= set(known.nouns)
    colours = "red blue yellow green black white brown gray pink purple orange"
    assert set(colours.split()) <= set(known.adjectives)


@pytest.mark.parametrize("name", ["nouns", "adjectives", "verbs", "adverbs", "irregular_verbs"])
def test_a_table_lists_no_word_twice(name: str) -> None:
    words = [next(iter(row.values())) for row in table(name)]
    assert len(words) == len(set(words))


def test_every_irregular_verb_is_used() -> None:
    known = lexicon()
    auxiliary = {"être", "avoir", *(modal.value[1] for modal in Modal)}
    used = {entry.french.infinitive for entry in known.verbs.values()} | auxiliary
    assert {row["infinitive"] for row in table("irregular_verbs")} <= used


def test_every_verb_but_those_of_thought_has_something_to_be_said_of() -> None:
    assert [lemma for lemma, entry in lexicon().verbs.items() if not entry.frames] == ["think", "say"]
