"""What the system tests are written with: a realm of real daemons, and clients that share no code with it."""
