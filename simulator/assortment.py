"""The simulated catalogue: real-looking titles in formal words, with what each product means kept beside it.

Decides which products exist, how popular each is, and when it is launched and deleted. Seeded: the same seed
is the same catalogue.
"""

from dataclasses import dataclass
from datetime import datetime
from random import Random

from schemas.products import Product
from simulator.lexicon import Department, Lexicon, lexicon

# Real titles have typographic signs, and they are what mojibake is made of.
# ruff: noqa: RUF001
_SIZES = {
    "Home": ("120 × 60 cm", "160 × 230 cm", "Small", "Large", "Set of 2"),
    "Kitchen": ("1.5 L", "26 cm", "5 kg", "Family Size", "Set of 3"),
    "Tools": ("Kit with Case", "Bare Unit", "2 × 4 Ah", "13 mm", "125 mm"),
    "Electronics": ("2nd Generation", "USB-C", "1 TB", "27 inch", "Pro Pack"),
    "Clothing": ("Men’s", "Women’s", "Unisex", "Tall", "Petite"),
    "Sports": ("Men’s", "Women’s", "One Size", "Medium", "180 cm"),
    "Games": ("Ages 3+", "Ages 8+", "Ages 12+", "45 Minutes", "Gift Box"),
    "Garden": ("20 m", "300 m²", "Set of 4", "Medium", "120 × 40 cm"),
    "Pets": ("Small", "Medium", "Large", "60 × 45 cm", "2-Pack"),
    "Office": ("A4", "Black Base", "120 × 80 cm", "Medium", "10-Pack"),
}
_LAUNCHED_LATER = 0.03
_DELETED = 0.01


@dataclass(frozen=True, kw_only=True, slots=True)
class SimProduct:
    """One product.

    ``concepts`` is what it means; ``popularity`` is a positive weight; weeks count from 0, None is never. A
    product that will be deleted is sold out from the start: nobody finds or buys it, so what intake makes of
    an event does not depend on whether it has read of the deletion yet.
    """

    product_id: str
    title: str
    description: str
    brand: str
    category_path: tuple[str, ...]
    price: float
    attributes: dict[str, str]
    concepts: frozenset[str]
    popularity: float
    launched_in: int = 0
    deleted_in: int | None = None

    def alive_in(self, week: int) -> bool:
        """Say whether the shop sells it in ``week``."""
        return self.launched_in <= week and self.deleted_in is None

    def message(self, *, version: int, updated_at: datetime, price: float | None = None) -> Product:
        """Return what the shop sends to the topic ``products``."""
        return Product(
            product_id=self.product_id,
            title=self.title,
            description=self.description,
            brand=self.brand,
            category_path=list(self.category_path),
            price=self.price if price is None else price,
            currency="EUR",
            availability="in_stock",
            attributes=dict(self.attributes),
            version=version,
            updated_at=updated_at,
        )


def generate(seed: int, size: int = 1500) -> list[SimProduct]:
    """Return ``size`` products with distinct ids and titles, spread evenly over all product types.

    Zero gives none.
    """
    rng = Random(f"catalog:{seed}")
    lex = lexicon()
    shelves = [(department, kind) for department in lex.departments for kind in department.types]
    rng.shuffle(shelves)
    shelf_popularity = [rng.lognormvariate(0, 0.5) for _ in shelves]
    products: list[SimProduct] = []
    titles: set[str] = set()
    while len(products) < size:
        at = len(products) % len(shelves)
        product = _product(rng, lex, *shelves[at], number=len(products), share=shelf_popularity[at])
        if product.title not in titles:
            titles.add(product.title)
            products.append(product)
    return products


def _product(
    rng: Random, lex: Lexicon, department: Department, kind: str, *, number: int, share: float
) -> SimProduct:
    brand, line = rng.choice(department.lines)
    feature, colour = rng.choice(department.features), rng.choice(lex.colours)
    name = {key: lex.words[key].formal for key in (kind, brand, line, feature, colour)}
    size = rng.choice(_SIZES[department.name])
    shapes = (
        f"{name[brand]} {name[line]} {name[feature]} {name[kind]}, {name[colour]}, {size}",
        f"{name[brand]} {name[line]} {name[kind]} – {name[feature]}, {name[colour]}, {size}",
        f"{name[kind]} {name[brand]} {name[line]}, {name[feature]}, {size}, {name[colour]}",
    )
    low, high = department.prices
    launched = rng.choice((1, 2)) if rng.random() < _LAUNCHED_LATER else 0
    return SimProduct(
        product_id=str(100_000 + number),
        title=rng.choice(shapes),
        description=f"{name[kind]} of the {name[line]} series by {name[brand]}. {name[feature]}, in "
        f"{name[colour].lower()}. {size}.",
        brand=name[brand],
        category_path=(department.name, name[kind]),
        price=round(low * (high / low) ** rng.betavariate(2, 3), 2),
        attributes={"series": name[line], "feature": name[feature], "colour": name[colour], "size": size},
        concepts=frozenset(name),
        popularity=share * rng.lognormvariate(0, 1.2),
        launched_in=launched,
        deleted_in=rng.choice((0, 0, 1, 2)) if not launched and rng.random() < _DELETED else None,
    )
