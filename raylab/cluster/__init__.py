"""Ray: Data maps shards over actors, Tune runs tasks. Knows stages and stores, nothing of networks or attacks."""
