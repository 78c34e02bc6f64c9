"""The command line: which verbs there are.

What a verb takes stands in ``commands.options``, what it does in ``commands``. Exit codes: 0 done, 1 refused
or failed with the reason on stderr, 2 wrong usage. ``--json`` on every command that prints a result. The code
of a verb is imported when it runs, so that ``--help`` answers at once.
"""

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from importlib import import_module
from pathlib import Path

import typer

from commands.options import (
    acl,
    artefacts,
    catalog,
    demo,
    deploy,
    dlq,
    doctor,
    evaluate,
    events,
    explain,
    export,
    forget,
    gate,
    import_,
    judgments,
    keys,
    pairs,
    pictures,
    processes,
    refresh,
    releases,
    rules,
    runs,
    search,
    send,
    status,
    train,
    up,
)  # fmt: skip

Verb = Callable[..., None]
# In the order of --help.
VERBS: Mapping[str, Verb] = {
    "up": up.up,
    "demo": demo.demo,
    "stream": processes.stream,
    "trainer": processes.trainer,
    "indexer": processes.indexer,
    "searcher": processes.searcher,
    "api": processes.api,
    "send": send.send,
    "import": import_.import_file,
    "export": export.export,
    "search": search.search,
    "train": train.train,
    "refresh": refresh.refresh,
    "evaluate": evaluate.evaluate,
    "runs": runs.runs,
    "releases": releases.releases,
    "status": status.status,
    "pairs": pairs.pairs,
    "pictures": pictures.pictures,
    "explain": explain.explain,
    "forget": forget.forget,
    "rollback": deploy.rollback,
    "promote": deploy.promote,
    "pause": deploy.pause,
    "resume": deploy.resume,
    "pin": deploy.pin,
    "unpin": deploy.unpin,
    "abort": deploy.abort,
    "schemas": processes.schemas,
    "acl": acl.acl,
    "doctor": doctor.doctor,
}
# A family whose name is a verb as well is that verb where none of its members is named.
GROUPS: Mapping[tuple[str, str], Mapping[str, Verb]] = {
    ("artefacts", "The store of models and rankings, and removing what no generation needs."): {
        "list": artefacts.list_folders,
        "gc": artefacts.gc,
    },
    ("doctor", "Whether this machine can run searchloop; what the catalogue and the events lack."): {
        "catalog": catalog.catalog,
        "events": events.events,
    },
    ("dlq", "Dead letters: the refused records, and why they were refused."): {
        "list": dlq.list_letters,
        "show": dlq.show_letters,
        "replay": dlq.replay_letters,
        "skip": dlq.skip_record,
    },
    ("gate", "How many queries a verdict needs, and which queries are pinned."): {
        "power": gate.power,
        "pin": gate.pin,
        "unpin": gate.unpin,
        "list": gate.list_pins,
    },
    ("judgments", "Named sets of your own ratings, which every run scores."): {
        "list": judgments.list_sets,
        "export": judgments.export,
        "import": judgments.import_set,
        "remove": judgments.remove_set,
    },
    ("rules", "Merchandising: products that are pinned, buried, boosted or hidden."): {
        "list": rules.list_rules,
        "pin": rules.pin,
        "bury": rules.bury,
        "boost": rules.boost,
        "hide": rules.hide,
        "remove": rules.remove,
    },
    ("keys", "Keys of the HTTP API, and what their holders may do."): {
        "create": keys.create,
        "list": keys.list_keys,
        "revoke": keys.revoke,
    },
}


def carried_out_by(declared: Verb) -> tuple[str, str]:
    """Return the module and the function that do what a declaration of ``commands.options`` promises.

    Both have its name.
    """
    return declared.__module__.replace("commands.options.", "commands."), declared.__name__


def lazily(declared: Verb) -> Verb:
    """Return a function that looks like the declaration.

    It imports and calls the verb's own when it runs.
    """

    @wraps(declared)
    def run(**options: object) -> None:
        module, function = carried_out_by(declared)
        getattr(import_module(module), function)(**options)

    return run


def typed(verbs: Mapping[str, Verb], summary: str | None = None) -> typer.Typer:
    """Return the command line of some verbs."""
    app = typer.Typer(
        no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=summary
    )
    for name, declared in verbs.items():
        app.command(name)(lazily(declared))
    return app


def command_line(words: Sequence[str]) -> tuple[typer.Typer, int]:
    """Return the command line for what is said, and how many of the words name it.

    A verb alone, or all of them where none is named. A verb is built without its siblings, since typer loads
    pydantic for the options of a group that is passed through.
    """
    family = next((verbs for (name, _), verbs in GROUPS.items() if words and name == words[0]), None)
    if family is None or (words[0] in VERBS and not (len(words) > 1 and words[1] in family)):
        depth, verbs = 0, VERBS
    else:
        depth, verbs = 1, family
    if len(words) > depth and words[depth] in verbs:
        return typed({words[depth]: verbs[words[depth]]}), depth + 1
    whole = typed(VERBS, "A streaming learner for product search.")
    for (name, summary), members in GROUPS.items():
        if name in VERBS:
            continue
        whole.add_typer(typed(members, summary), name=name)
    return whole, 0


def main() -> None:
    """Run the command line."""
    logging.basicConfig(level=logging.ERROR)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # its retries are not the reader's business
    app, named = command_line(sys.argv[1:])
    try:
        app(
            args=sys.argv[named + 1 :], prog_name=" ".join([Path(sys.argv[0]).name, *sys.argv[1 : named + 1]])
        )
    except Exception as error:
        # The one outermost handler: a sentence for what an operator can mend, a traceback for the rest
        from commands.support.failures import sentence
        from commands.support.session import stop

        known = sentence(error)
        if known is None:
            raise
        stop(known[0], code=known[1])


if __name__ == "__main__":
    main()
