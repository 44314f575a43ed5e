"""WADO-RS (PS3.18 10.4): retrieves, part by part."""
