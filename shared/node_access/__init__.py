"""Access to nodes within their limits: budgets, leases, and a pool of associations."""
