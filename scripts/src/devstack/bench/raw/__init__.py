"""What no service can be faster than: no guard and no framework, the same statements straight on asyncpg."""
