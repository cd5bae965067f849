"""What flows when a request is upgraded: terminals, programs and ports, over WebSocket."""
