"""Jobs made of small tasks: the ledger holds what is true, messages only signal that there is work.

A task's handler commits its rows first, then publishes what follows, then the delivery is acked. Delivered
again, it finds its task done and only publishes again. So a handler may run twice, die half-way or run beside
itself.
"""
