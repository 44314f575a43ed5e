"""SQL stands in few folders, so that a column is changed in few places."""

from __future__ import annotations

from tests.architecture.source_tree import Module, below, source_tree

#: Folders whose purpose is SQL.
SQL_FOLDERS = (
    "services/query/ledger/",
    "services/retrieve/ledger/",
    "services/store/index/",
    "shared/database/",
    "shared/reading/",
    "shared/jobs/",
    "shared/node_access/",
)

#: SQL elsewhere, each with its reason.
SQL_ELSEWHERE = {
    "services/cli/local/demo.py": "the demo counts rows to compare them with files",
    "services/query/commands.py": "accepts a query in one transaction",
    "services/query/search/merging.py": "merges the rows of slices that wait",
    "services/retrieve/commands.py": "accepts a retrieve in one transaction",
    "services/retrieve/commitment/ledger.py": "the rows of storage commitment, beside their state machine",
    "services/store/dose_reports/reader.py": "the queue of reports that wait to be read",
    "services/store/handover/batching.py": "the rows of the outbox",
    "services/store/handover/outbox.py": "the rows of the outbox",
    "services/store/scp/commitment_reports.py": "the rows of reports that arrived",
    "services/web/security/audit_retention.py": "removes old entries of the audit trail, which the page owns",
    "services/web/api/idempotency.py": "the only access to the table of repeated requests",
    "services/web/live/node_status.py": "a read of one row",
    "services/web/pages/health.py": "SELECT 1",
    "services/web/views/job_panel.py": "reads for one page",
    "services/web/views/studies.py": "reads for one page, with its filters",
    "shared/control/early_orders.py": "the only access to the table of orders that came early",
    "shared/users/api_tokens.py": "the only access to the table of API tokens",
    "shared/notifications/addresses.py": "the only access to the table of addresses of notifications",
    "shared/notifications/causes.py": "the rows of causes and events, beside their state machine",
    "shared/notifications/outbox.py": "the rows of deliveries",
    "shared/node_profiles/ledger.py": "the only access to the table of profiles",
    "shared/nodes/nodes.py": "the only access to the table of nodes",
    "shared/retention/runs.py": "the only access to the table of runs of retention",
    "shared/schedules/ledger.py": "the only access to the table of recurring queries",
    "shared/schedules/results.py": "reads recurring queries and their runs",
    "shared/service.py": "SELECT 1",
    "shared/study_lists/ledger.py": "the only access to the tables of long lists of studies",
    "shared/users/accounts.py": "the only access to the table of users",
    "shared/users/node_groups.py": "reads the groups of nodes, of which users get some",
    "shared/users/node_scope.py": "filters every statement of those who may use some groups of nodes",
    "shared/users/provider_accounts.py": "finds users by issuer and subject",
    "shared/users/second_factor.py": "uses up codes, so that of two requests one finds a code used",
}

#: These take part in a transaction: they hand a `Session` to the ledger and write no SQL.
TAKE_A_SESSION = (
    "services/cli/",
    "services/echo/handler.py",
    "services/query/",
    "services/retrieve/",
    "services/store/",
    "services/web/",
    "shared/control/",
    "shared/nodes/removal.py",
)


def sqlalchemy_names(module: Module) -> set[str]:
    return {name for name in module.imports() if below(name, "sqlalchemy")}


def writes_sql(module: Module) -> bool:
    return not sqlalchemy_names(module) <= {"sqlalchemy.orm", "sqlalchemy.orm.Session"}


def test_sql_stands_in_its_folders_and_in_listed_modules():
    wrong = [
        module.path
        for module in source_tree().modules
        if writes_sql(module) and not module.path.startswith(SQL_FOLDERS) and module.path not in SQL_ELSEWHERE
    ]
    assert wrong == []


def test_a_session_is_handed_on_only_by_services():
    wrong = [
        module.path
        for module in source_tree().modules
        if sqlalchemy_names(module) and not module.path.startswith(SQL_FOLDERS)
        if module.path not in SQL_ELSEWHERE and not module.path.startswith(TAKE_A_SESSION)
    ]
    assert wrong == []
