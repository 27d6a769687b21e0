"""lastcall in an application's framework: one module each, thin, over `core`."""
