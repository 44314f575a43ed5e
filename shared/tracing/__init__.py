"""Which request a message, a task or an object belongs to; spans of it where that is switched on."""
