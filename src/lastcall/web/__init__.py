"""The pages that people see: a face of the same operations as the HTTP API."""
