"""What a record of the topic ``rules`` says, for searchers and for operators. Pure.

Read word by word, and not as what others send is read elsewhere: a field that says nothing is no absent one
here, or a rule with an empty query would be one for every query.
"""

from pydantic import ValidationError

from retrieval.merchandising import RuleError, SetRule
from schemas.bounds import REQUEST_BYTES
from schemas.rules import MerchandisingRule


def read_rule(rule_id: str, value: bytes) -> MerchandisingRule | str:
    """Return the rule under a key, or why there is none that could be applied."""
    if len(value) > REQUEST_BYTES:
        return f"{len(value)} bytes, at most {REQUEST_BYTES}"
    try:
        rule = MerchandisingRule.from_json(value)
        SetRule.of(rule)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        return f"not a rule: {'.'.join(map(str, first['loc'])) or 'the whole'}: {first['msg']}"[:300]
    except RuleError as error:
        return str(error)
    return rule if rule.rule_id == rule_id else "the key is not the rule_id"
