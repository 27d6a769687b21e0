"""The HTTP API: routes that declare who may call them, over the same operations as the pages."""
