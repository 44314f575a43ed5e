"""The broker over RabbitMQ; the only package that imports pika."""
