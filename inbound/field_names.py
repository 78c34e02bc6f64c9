"""Which field of ours a name of somebody else's is likely to mean. Pure."""

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType

from schemas.base import Message

# How other systems call what a contract has, by its topic; a place that is no field is told as it is written.
_NAMES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "products": {
            "product_id": "id sku item_id article_number article_no item_number product_number",
            "title": "name product_name item_name label",
            "category_path": "category categories product_type",
            "group_id": "item_group_id parent parent_id parent_sku variant_of master_id",
            "image.uri": "image_url image_link picture",
            "availability": "stock in_stock inventory",
            "brand": "manufacturer vendor make",
            "description": "body body_html text",
            "attributes": "color colour size material option options specs",
        },
        "searches": {
            "user_query": "query q search_term keyword keywords term",
            "query_id": "search_id queryid",
            "query_response_hit_ids": "results result_ids product_ids object_ids items",
            "client_id": "visitor visitor_id anonymous_id user_pseudo_id customer_id",
            "timestamp": "time date datetime created_at ts",
        },
        "interactions": {
            "action_name": "action event event_name event_type type",
            "object_id": "sku item_id article_number",
            "items": "products order_lines lines quantity price unit_price currency",
            "event_attributes.position.ordinal": "position rank ordinal",
            "order_id": "transaction_id order_number",
            "client_id": "visitor visitor_id anonymous_id user_pseudo_id customer_id",
            "query_id": "search_id queryid",
            "user_query": "query search_term",
            "timestamp": "time date datetime created_at ts",
        },
    }
)
_MEANT = {
    topic: {name: field for field, names in fields.items() for name in names.split()}
    for topic, fields in _NAMES.items()
}


def meant_by(topic: str, name: str, contract: type[Message]) -> str | None:
    """Return the field that a name of somebody else's is likely to mean.

    >>> from schemas.products import Product
    >>> meant_by("products", "SKU", Product), meant_by("products", "titel", Product)
    ('product_id', 'title')
    """
    plain = name.casefold().replace("-", "_").replace(" ", "_")
    near = get_close_matches(plain, contract.model_fields, 1, 0.75)
    return _MEANT.get(topic, {}).get(plain) or (near[0] if near else None)
