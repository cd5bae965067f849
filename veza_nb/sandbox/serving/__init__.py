"""The network edge: TLS, connections, HTTP in and out, watches told to many."""
