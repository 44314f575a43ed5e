"""The contract of the messages between the services and with other systems."""
