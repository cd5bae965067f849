"""The API server without its sockets: a request goes in, an answer comes out, objects are kept."""
