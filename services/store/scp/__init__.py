"""The C-STORE SCP: listening, negotiation, and associations of senders."""
