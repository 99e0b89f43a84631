"""Stand-in for the provider plugin `random` 4.21.4: RandomId, RandomPassword and RandomString."""
