"""The broker: a port and its two adapters, RabbitMQ and in-memory."""
