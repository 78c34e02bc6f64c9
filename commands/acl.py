"""Print what a cluster with access control must have: topics, users, rights. Asks no broker."""

import sys

from broker.topics import plan
from commands.options.acl import Form
from commands.support.acl_formats import FORMATS, Cluster
from commands.support.session import MISUSED, own_settings, stop
from schemas.rights import PRINCIPALS, rights_of, topics_of
from schemas.topics import WITH_DEAD_LETTERS


def acl(form: Form, cluster: str, principal: list[str] | None) -> None:
    """Print it in one of the forms."""
    settings = own_settings()
    for name in principal or ():
        if name not in PRINCIPALS:
            stop(f"nobody is called {name!r}: {', '.join(PRINCIPALS)} are", code=MISUSED)
    asked = tuple(principal or PRINCIPALS)
    named = {topic.name for name in asked for topic in topics_of(name)}
    topics = [topic for topic in WITH_DEAD_LETTERS if topic.name in named]
    wanted = Cluster(
        name=cluster,
        addresses=settings.kafka,
        topics=list(plan(settings, topics).values()),
        rights=[right for name in asked for right in rights_of(name, settings)],
    )
    sys.stdout.write(FORMATS[form](wanted))
