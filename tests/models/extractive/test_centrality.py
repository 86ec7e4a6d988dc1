import random
import time

from swarm.models.extractive.centrality import Bags, choose


def test_what_others_speak_of_stands_before_what_nobody_does() -> None:
    texts = [
        "The harbour of the city was deepened for larger ships.",
        "Larger ships now reach the harbour of the city.",
        "The city earns more since larger ships reach its harbour.",
        "A cat slept on the windowsill all afternoon.",
    ]
    scores = Bags(texts).centrality()
    assert scores.argmin() == 3
    assert scores.max() == 1.0


def test_sentences_without_a_telling_word_harm_nobody() -> None:
    texts = ["Ships reach the harbour.", "The harbour takes ships.", "And so on.", "Of the.", "Cats sleep."]
    scores = Bags(texts).centrality()
    assert scores.min() >= 0.0
    assert scores[:2].min() > scores[2:].max()


def test_what_repeats_the_chosen_is_not_chosen() -> None:
    texts = ["Larger ships reach the harbour.", "Larger ships reach the harbour!", "The cat sleeps on the roof."]
    bags = Bags(texts)
    assert sorted(choose(bags, bags.centrality(), [1, 1, 1], 3, 3)) == [0, 2]


def test_sizes_keep_to_the_budget() -> None:
    texts = [f"sentence number {n} about topic {n % 7} and thing {n % 5}" for n in range(60)]
    bags = Bags(texts)
    sizes = [len(text.split()) for text in texts]
    rows = choose(bags, bags.centrality(), sizes, 40, 60)
    assert rows
    assert sum(sizes[row] for row in rows) <= 40


def test_nothing_gives_nothing() -> None:
    bags = Bags([])
    assert choose(bags, bags.centrality(), [], 10, 10) == []
    assert list(Bags(["of the", "and so on"]).centrality()) == [1.0, 1.0]


def test_work_grows_with_the_words_and_not_with_their_square() -> None:
    dice = random.Random(1)
    words = [f"w{n}" for n in range(3000)]
    texts = [" ".join(dice.choices(words, k=20)) for _ in range(8000)]

    def seconds(count: int) -> float:
        began = time.process_time()
        bags = Bags(texts[:count])
        choose(bags, bags.centrality(), [1] * count, 12, 12)
        return time.process_time() - began

    seconds(100)
    assert seconds(8000) < 8 * 3 * max(seconds(1000), 0.01)
