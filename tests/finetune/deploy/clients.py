"""Clients that ask a server all at once, and what became of their requests."""

import http.client
import json
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import urlsplit

WORDS = (
    "how do i connect sort join print read a the list table rows of in to with from mysql numpy python node.js error "
    "server query function type value string after update version does not work when using async await class index"
).split()
REQUESTS_PER_CONNECTION = 20


def made_text(generator: random.Random, words: tuple[int, int] = (8, 60)) -> str:
    """A text of some words, as many as in a question's title to a short body."""
    return " ".join(generator.choices(WORDS, k=generator.randint(*words)))


@dataclass
class Outcome:
    """What became of the requests of a number of clients."""

    statuses: Counter[int] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    """Requests without an answer, by what happened to their connection."""
    seconds: list[float] = field(default_factory=list)
    """Time of each request that was answered 200."""
    wrong: int = 0
    """Answers 200 that were not what was asked for."""


def ask_from_many(address: str, clients: int, seconds: float, seed: int = 0, new_connections: bool = False) -> Outcome:
    """Have each client ask one text after the other for some seconds, all starting at once."""
    outcome, lock, start = Outcome(), threading.Lock(), threading.Barrier(clients)
    threads = [
        threading.Thread(
            target=_client, args=(address, seconds, f"{seed} {number}", new_connections, start, outcome, lock)
        )
        for number in range(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcome


def _client(
    address: str,
    seconds: float,
    seed: str,
    new_connections: bool,
    start: threading.Barrier,
    outcome: Outcome,
    lock: threading.Lock,
) -> None:
    generator, where = random.Random(seed), urlsplit(address)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)
    start.wait()
    end, asked = time.monotonic() + seconds, 0
    while not asked or time.monotonic() < end:
        asked += 1
        began = time.monotonic()
        try:
            connection.request("POST", "/predict", json.dumps({"text": made_text(generator), "top": 1}))
            answer = connection.getresponse()
            content = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            with lock:
                outcome.failures[type(error).__name__] += 1
            connection.close()
            continue
        with lock:
            outcome.statuses[answer.status] += 1
            if answer.status == 200:
                outcome.seconds.append(time.monotonic() - began)
                outcome.wrong += len(content["labels"]) != 1
        if answer.status == 503:
            time.sleep(float(answer.headers["Retry-After"]))
        if new_connections or asked % REQUESTS_PER_CONNECTION == 0:
            connection.close()
    connection.close()
