"""What every dialect does alike: arrival, limits, faults, log, sockets. How it is said is each dialect's own."""
