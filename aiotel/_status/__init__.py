"""Answer who looks into this process from outside: a unix socket, served from a thread of aiotel's own."""
