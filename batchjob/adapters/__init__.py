"""Stores, search servers and clocks behind the ports; the only importers of boto3 and opensearchpy."""
