"""A view of how many tasks could be in hand: an autoscaler needs a SELECT, and nothing else of DoseQR."""

from __future__ import annotations

from alembic import op

revision = "0049"
down_revision = "0044"
branch_labels = None
depends_on = None

#: Tasks of one service beyond the associations of a node, as `shared.jobs.shares.fair_share` had it then.
_AHEAD = 2

#: By node: the tasks in hand, and as many of those that are due as it allows.
_OF_KIND = """
SELECT '{kind}' AS kind, CAST(COALESCE(SUM(in_hand + CASE
    WHEN in_hand >= most THEN 0
    WHEN due < most - in_hand THEN due
    ELSE most - in_hand END), 0) AS INTEGER) AS tasks
FROM (
    SELECT node.max_associations + {ahead} AS most,
        COUNT(CASE WHEN task.state IN ('queued', 'running') THEN 1 END) AS in_hand,
        COUNT(CASE WHEN task.state = 'pending' AND task.due_at <= {now} AND job.paused IS NULL
            AND node.paused IS NULL {store_runs} THEN 1 END) AS due
    FROM {tasks} AS task
    JOIN {jobs} AS job ON job.id = task.job_id
    JOIN nodes AS node ON node.id = job.remote_id
    {store}
    WHERE task.state IN ('pending', 'queued', 'running') AND job.status IN ('queued', 'running')
    GROUP BY node.id, node.max_associations
) AS {kind}_nodes
"""


def upgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    now = "strftime('%Y-%m-%d %H:%M:%f', 'now')" if sqlite else "now()"
    query = _OF_KIND.format(
        kind="query", tasks="query_tasks", jobs="queries", now=now, ahead=_AHEAD, store="", store_runs=""
    )
    retrieve = _OF_KIND.format(
        kind="retrieve",
        tasks="retrieve_tasks",
        jobs="retrieves",
        now=now,
        ahead=_AHEAD,
        store="LEFT JOIN nodes AS store ON store.id = job.store_id",
        store_runs="AND store.paused IS NULL",
    )
    op.execute(f"CREATE VIEW doseqr_useful_workers AS {query} UNION ALL {retrieve}")


def downgrade() -> None:
    op.execute("DROP VIEW doseqr_useful_workers")
