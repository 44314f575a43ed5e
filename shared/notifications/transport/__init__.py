"""The way of a notification: what an address may be, how it is kept, and the process that sends."""
