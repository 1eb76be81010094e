"""Which rows a page of limited length shows: the best, the worst, and some by chance."""

import pandas as pd

from synthpairs.gallery.params import Gallery
from synthpairs.selection.ranking import hash_score


def choose(rows: dict[str, pd.DataFrame], params: Gallery) -> dict[str, pd.DataFrame]:
    """At most `limit` rows of each kind, in their order; kinds as from `read_rows`."""
    return {
        kind: extremes_and_sample(table, params) if kind == "candidate" else sample(table, params)
        for kind, table in rows.items()
    }


def extremes_and_sample(rows: pd.DataFrame, params: Gallery) -> pd.DataFrame:
    """Candidates of the best, of the worst and of random captions, a third of `limit` each; all when they fit.

    A caption comes with all its candidates, so that they can be seen side by side; its best and its worst one count.
    """
    if len(rows) <= params.limit:
        return rows
    captions = rows.groupby("uid")["score"].agg(["max", "min", "size"]).reset_index()
    captions["order"] = hash_score(captions["uid"], params.seed, "gallery")
    orders = (
        captions.sort_values(["max", "uid"], ascending=[False, True]),
        captions.sort_values(["min", "uid"]),
        captions.sort_values(["order", "uid"]),
    )
    taken: set[str] = set()
    for number, order in enumerate(orders, start=1):
        room = params.limit * number // len(orders) - int(captions.loc[captions["uid"].isin(taken), "size"].sum())
        fresh = order[~order["uid"].isin(taken)]
        taken.update(fresh.loc[fresh["size"].cumsum() <= room, "uid"])
    return rows[rows["uid"].isin(taken)]


def sample(rows: pd.DataFrame, params: Gallery) -> pd.DataFrame:
    """`limit` rows by chance, which depends on their ids alone; all when they fit."""
    if len(rows) <= params.limit:
        return rows
    order = hash_score(rows["id"], params.seed, "gallery")
    return rows.loc[order.sort_values(kind="stable").index[: params.limit].sort_values()]
