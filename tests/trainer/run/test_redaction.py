"""The files of an ended run keep nothing of a forgotten client.

Neither its hash nor the text of what it alone has searched.
"""

from datetime import UTC, datetime

import polars as pl
import pytest

from schemas.training import REPORT
from tests.trainer.run_folders import a_run
from trainer.data.snapshot import Snapshot
from trainer.evaluation.rank_changes import FILE, RankChange, frame_of
from trainer.gate.case import Case
from trainer.gate.rederivation import rederive
from trainer.run.folder import RunFolder, RunOutcome
from trainer.run.redaction import Forgotten, forget_in_runs

AT = datetime(2026, 4, 1, tzinfo=UTC)


def files_with(folder, text):
    return sorted(
        p.relative_to(folder).as_posix()
        for p in folder.rglob("*.parquet")
        if text in str(pl.read_parquet(p).to_dicts())
    )


def a_run_in_which_one_client_stands_alone(data_dir):
    """Return the run's folder, its decision, the client's hash, and a query of nobody else."""
    folder = data_dir / "runs" / "01K0000000000000000000000A"
    decision = a_run(folder)
    taken = Snapshot.read(folder / "snapshot")
    query = pl.read_parquet(folder / "split" / "qrels.parquet")["query"][0]
    mine = pl.lit("f" * 16)
    clients = taken.clients.with_columns(
        client=pl.when(pl.col("query") == query).then(mine).otherwise(pl.col("client"))
    )
    shared = clients.filter(pl.col("query") != query).head(1).with_columns(client=mine)
    pl.concat([clients, shared]).write_parquet(folder / "snapshot" / "clients.parquet")
    (folder / REPORT).write_text(f"<p>{query}</p>")
    risen = Case.read(folder).evidence.rank_changes
    product = taken.clients.filter(pl.col("query") == query)["product_id"][0]
    own = RankChange(query=query, product_id=product, before=11, after=1, credit=1.0, clients=1, believed=1.0)
    frame_of([own, *risen]).write_parquet(folder / "evaluation" / FILE)
    return folder, decision, "f" * 16, query


def test_the_hash_and_what_nobody_else_searched_are_gone_from_every_file_and_the_rest_stays(tmp_path):
    folder, decision, client, query = a_run_in_which_one_client_stands_alone(tmp_path)
    RunFolder(folder).commit("outcome", RunOutcome(state="failed_gate"))
    before = Snapshot.read(folder / "snapshot")
    assert len(files_with(folder, repr(query))) >= 5
    done = forget_in_runs(tmp_path, {client}, at=AT)
    assert (done.runs, done.unfinished) == ([folder.name], [])
    assert files_with(folder, repr(query)) == files_with(folder, client) == []
    assert not (folder / REPORT).exists()
    after = Snapshot.read(folder / "snapshot")
    assert after.pairs.equals(before.pairs.filter(pl.col("query") != query))
    assert after.clients.equals(before.clients.filter(pl.col("client") != client))
    assert after.catalog.equals(before.catalog)
    assert not list(folder.rglob("*.rewritten"))
    told = rederive(decision, folder).refused
    assert "a shopper was forgotten" in told
    facts = RunFolder(folder).find("forgotten", Forgotten)
    assert facts.at == AT
    assert {"split/train.parquet", f"evaluation/{FILE}"} <= set(facts.files)
    again = forget_in_runs(tmp_path, {client}, at=AT)
    assert (again.runs, again.unfinished) == ([], [])


@pytest.mark.parametrize(("state", "kept"), [("failed_gate", False), ("deployed", True)])
def test_the_pairs_of_a_memory_name_nobody_who_is_forgotten(tmp_path, state, kept):
    folder, _, client, _ = a_run_in_which_one_client_stands_alone(tmp_path)
    RunFolder(folder).commit("outcome", RunOutcome(state=state))
    pair = Snapshot.read(folder / "snapshot").clients.filter(pl.col("client") != client).head(1)
    others = pair.select("query", "product_id", credit=pl.lit(1.0), client=pl.lit(None, pl.String))
    remembered = pl.concat([others, others.with_columns(client=pl.lit(client))])
    remembered.write_parquet(folder / "split" / "remembered.parquet")
    (folder / "memory").mkdir()
    forget_in_runs(tmp_path, {client}, at=AT)
    assert files_with(folder, client) == []
    assert pl.read_parquet(folder / "split" / "remembered.parquet").equals(others)
    assert (folder / "memory").exists() == kept


def test_the_decision_which_is_kept_for_ever_holds_no_text_of_a_query(tmp_path):
    decision = a_run(tmp_path / "run")
    queries = pl.read_parquet(tmp_path / "run" / "split" / "weighted.parquet")["query"].unique().to_list()
    assert decision.examples
    assert Case.read(tmp_path / "run").evidence.rank_changes
    assert not [query for query in queries if query in decision.to_json().decode()]


def test_a_run_that_does_not_name_the_client_stays_as_it_is_and_one_that_is_not_ended_is_told(tmp_path):
    folder, decision, client, _ = a_run_in_which_one_client_stands_alone(tmp_path)
    assert forget_in_runs(tmp_path, {client}, at=AT).unfinished == [folder.name]
    RunFolder(folder).commit("outcome", RunOutcome(state="failed_gate"))
    assert forget_in_runs(tmp_path, {"0" * 15 + "x"}, at=AT).runs == []
    assert (folder / REPORT).exists()
    assert forget_in_runs(tmp_path / "nothing here", {client}, at=AT).runs == []
    assert "forgotten" not in rederive(decision, folder).refused


def test_copies_of_other_machines_runs_are_removed(tmp_path):
    for kind in ("snapshots", "reports", "models"):
        (tmp_path / "cache" / kind / "ab").mkdir(parents=True)
    forget_in_runs(tmp_path, ["c"], at=AT)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["models"]
