"""The parts of the swap benchmark that judge: they must see what is wrong, or its zeros say nothing."""

from benchmarks.deployment.changing_catalogue import PROBES, a_catalogue, differences


def rows(catalogue):
    return {i: (p.version, p.title) for i, p in catalogue.products.items()}


def test_a_collection_that_holds_the_catalogue_has_no_differences():
    catalogue = a_catalogue(20)
    assert len(catalogue.products) == 20 + len(PROBES)
    assert differences(catalogue.products, rows(catalogue)) == 0


def test_a_lost_an_old_and_a_surplus_row_are_each_counted():
    catalogue = a_catalogue(20)
    held = rows(catalogue)
    del held["p00003"]
    held["p00004"] = (0, held["p00004"][1])
    held["gone"] = (1, "gone")
    assert differences(catalogue.products, held) == 3


def test_every_probe_has_a_title_of_its_own():
    titles = [p.title for p in a_catalogue(300).products.values()]
    assert len(set(PROBES)) == len(PROBES)
    assert all(titles.count(title) == 1 for title in PROBES)
