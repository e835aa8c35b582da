"""A paraphrase set of ftcore's own: pairs of English sentences made from a small grammar.

A fact says who did what to whom, how many and when. It can be said in many ways: active or
passive, from the giver's side or the taker's, with synonyms, digits or number words, the time
first or last. A pair is one fact said in two ways (label 1), or two facts (label 0) that differ in
exactly one thing, such as the roles, a negation, a number, time, person or deed, or, in half of
these pairs, in everything.

Nothing can be told from one sentence alone, since both facts of a pair are drawn alike. No two
persons who appear together in a validation pair do so in training, so that the pairs held out
are new combinations and not sentences seen before.
"""

import dataclasses
import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

UNRELATED = 0.5
"""Of the pairs with label 0, the share that are two facts with nothing in common."""
HELD_OUT = 6
"""One couple of persons in so many is kept for validation."""

PERSONS = {
    "doctor": ("the doctor", "the physician"),
    "lawyer": ("the lawyer", "the attorney"),
    "teacher": ("the teacher", "the instructor"),
    "police": ("the policeman", "the constable"),
    "child": ("the child", "the kid"),
    "writer": ("the writer", "the author"),
    "boss": ("the boss", "the manager"),
    "company": ("the company", "the firm"),
    "shop": ("the shop", "the store"),
    "student": ("the student", "the pupil"),
    "mechanic": ("the mechanic",),
    "baker": ("the baker",),
    "farmer": ("the farmer",),
    "nurse": ("the nurse",),
    "pilot": ("the pilot",),
    "singer": ("the singer",),
    "judge": ("the judge",),
    "museum": ("the museum",),
    "library": ("the library",),
    "neighbour": ("the neighbour",),
    "captain": ("the captain",),
    "gardener": ("the gardener",),
    "painter": ("the painter",),
    "waiter": ("the waiter",),
}

TIMES = {
    "monday": ("on Monday",),
    "tuesday": ("on Tuesday",),
    "thursday": ("on Thursday",),
    "friday": ("on Friday",),
    "sunday": ("on Sunday",),
    "noon": ("at noon", "at midday"),
    "dawn": ("at dawn", "at sunrise"),
    "week": ("last week", "a week ago"),
}

NUMBERS = {
    2: ("two", "2"),
    3: ("three", "3"),
    4: ("four", "4"),
    5: ("five", "5"),
    6: ("six", "6"),
    7: ("seven", "7"),
    8: ("eight", "8"),
    9: ("nine", "9"),
    10: ("ten", "10"),
    11: ("eleven", "11"),
    12: ("twelve", "12"),
}


@dataclasses.dataclass(frozen=True)
class Verb:
    """A verb's forms."""

    base: str
    past: str
    participle: str


def _regular(base: str) -> Verb:
    past = base + ("d" if base.endswith("e") else "ed")
    return Verb(base, past, past)


# Each deed: verbs that mean the same.
DEEDS = {
    "praise": (_regular("praise"), _regular("commend")),
    "help": (_regular("help"), _regular("assist")),
    "hire": (_regular("hire"), _regular("recruit")),
    "blame": (_regular("blame"), _regular("accuse")),
    "call": (_regular("call"), _regular("phone")),
    "see": (Verb("see", "saw", "seen"), Verb("spot", "spotted", "spotted")),
    "answer": (_regular("answer"),),
    "thank": (_regular("thank"),),
    "follow": (_regular("follow"),),
    "trust": (_regular("trust"),),
}

# Each deal: how the giver's side says it, and how the taker's.
DEALS = {
    "sale": (Verb("sell", "sold", "sold"), (Verb("buy", "bought", "bought"), _regular("purchase"))),
    "loan": (Verb("lend", "lent", "lent"), (_regular("borrow"),)),
    "gift": (Verb("give", "gave", "given"), (Verb("get", "got", "got"), _regular("receive"))),
}

GOODS = {
    "photo": ("photos", "pictures"),
    "bike": ("bikes", "bicycles"),
    "sofa": ("sofas", "couches"),
    "book": ("books",),
    "chair": ("chairs",),
    "lamp": ("lamps",),
    "horse": ("horses",),
    "ticket": ("tickets",),
}

# Each comparison: the word from the first's side, and from the second's.
COMPARISONS = {
    "age": ("older", "younger"),
    "height": ("taller", "shorter"),
    "wealth": ("richer", "poorer"),
    "speed": ("faster", "slower"),
}


@dataclasses.dataclass(frozen=True)
class Fact:
    """One thing that is so, apart from the words for it."""

    kind: str
    """"deed", "deal" or "comparison" """
    relation: str
    first: str
    second: str
    time: str = ""
    number: int = 0
    goods: str = ""
    negated: bool = False


RELATIONS: dict[str, Mapping[str, Any]] = {
    "deed": DEEDS,
    "deal": DEALS,
    "comparison": COMPARISONS,
}

CHANGES = {
    "deed": ("roles", "roles", "negated", "time", "relation", "second"),
    "deal": ("roles", "roles", "number", "goods", "relation", "time", "first"),
    "comparison": ("roles", "roles", "relation", "first"),
}


def _draw_fact(rng: random.Random, couple: tuple[str, str]) -> Fact:
    kind = rng.choice(("deed", "deed", "deal", "deal", "comparison"))
    first, second = rng.sample(couple, 2)
    deal = kind == "deal"
    return Fact(
        kind=kind,
        relation=rng.choice(list(RELATIONS[kind])),
        first=first,
        second=second,
        time=rng.choice(list(TIMES)) if kind != "comparison" else "",
        number=rng.choice(list(NUMBERS)) if deal else 0,
        goods=rng.choice(list(GOODS)) if deal else "",
        negated=kind == "deed" and rng.random() < 0.4,
    )


def _change(rng: random.Random, fact: Fact, partners: Mapping[str, Sequence[str]]) -> Fact:
    """A fact that differs from this one in one thing."""

    def other(values: Sequence[Any], old: Any) -> Any:
        return rng.choice([value for value in values if value != old])

    what = rng.choice(CHANGES[fact.kind])
    match what:
        case "roles":
            return dataclasses.replace(fact, first=fact.second, second=fact.first)
        case "negated":
            return dataclasses.replace(fact, negated=not fact.negated)
        case "relation":
            new = other(list(RELATIONS[fact.kind]), fact.relation)
            return dataclasses.replace(fact, relation=new)
        case "number":
            return dataclasses.replace(fact, number=other(list(NUMBERS), fact.number))
        case "goods":
            return dataclasses.replace(fact, goods=other(list(GOODS), fact.goods))
        case "time":
            return dataclasses.replace(fact, time=other(list(TIMES), fact.time))
        case "first":
            return dataclasses.replace(fact, first=other(partners[fact.second], fact.first))
        case _:
            return dataclasses.replace(fact, second=other(partners[fact.first], fact.second))


def _other_fact(
    rng: random.Random,
    fact: Fact,
    couples: Sequence[tuple[str, str]],
    partners: Mapping[str, Sequence[str]],
) -> Fact:
    other = fact
    while other == fact:
        if rng.random() < UNRELATED:
            other = _draw_fact(rng, rng.choice(couples))
        else:
            other = _change(rng, fact, partners)
    return other


def _say(rng: random.Random, fact: Fact) -> str:
    """The fact in one of its wordings."""
    first, second = rng.choice(PERSONS[fact.first]), rng.choice(PERSONS[fact.second])
    from_first = rng.random() < 0.5
    if fact.kind == "comparison":
        more, less = COMPARISONS[fact.relation]
        clause = (
            f"{first} is {more} than {second}" if from_first else f"{second} is {less} than {first}"
        )
    elif fact.kind == "deal":
        give, takes = DEALS[fact.relation]
        goods = f"{rng.choice(NUMBERS[fact.number])} {rng.choice(GOODS[fact.goods])}"
        if from_first:
            clause = f"{first} {give.past} {goods} to {second}"
        else:
            clause = f"{second} {rng.choice(takes).past} {goods} from {first}"
    else:
        verb = rng.choice(DEEDS[fact.relation])
        if from_first:
            done = f"did not {verb.base}" if fact.negated else verb.past
            clause = f"{first} {done} {second}"
        else:
            done = "was not" if fact.negated else "was"
            clause = f"{second} {done} {verb.participle} by {first}"
    if fact.kind != "comparison":
        time = rng.choice(TIMES[fact.time])
        clause = f"{time}, {clause}" if rng.random() < 0.4 else f"{clause} {time}"
    return clause[0].upper() + clause[1:] + "."


def _pairs(
    rng: random.Random, couples: Sequence[tuple[str, str]], count: int
) -> Iterator[dict[str, str | int]]:
    partners: dict[str, list[str]] = {name: [] for name in PERSONS}
    for a, b in couples:
        partners[a].append(b)
        partners[b].append(a)
    for _ in range(count):
        fact = _draw_fact(rng, rng.choice(couples))
        label = rng.randrange(2)
        said = again = _say(rng, fact)
        while again == said:
            again = _say(rng, fact if label else _other_fact(rng, fact, couples, partners))
        yield {"sentence1": said, "sentence2": again, "label": label}


def paraphrase_pairs(
    train: int = 5000, validation: int = 500, seed: int = 0
) -> tuple[list[dict[str, str | int]], list[dict[str, str | int]]]:
    """The training and the validation rows, the same for the same arguments.

    Each row holds "sentence1", "sentence2" and "label" (1: they say the same).
    """
    rng = random.Random(seed)
    seen: list[tuple[str, str]] = []
    unseen: list[tuple[str, str]] = []
    for (i, a), (j, b) in itertools.combinations(enumerate(PERSONS), 2):
        (seen if (i + j) % HELD_OUT else unseen).append((a, b))
    return list(_pairs(rng, seen, train)), list(_pairs(rng, unseen, validation))
