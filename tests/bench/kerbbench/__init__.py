"""What the cases of tests/bench share: servers that are measured, the load generator, the realm, the table."""
