"""Many todos in one request, all of it or nothing."""
