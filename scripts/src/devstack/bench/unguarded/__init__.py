"""todo-svc without its guard's questions, to measure what they cost: the same app, told who is calling."""
