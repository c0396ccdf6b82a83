"""Times networks on this machine: back-ends, the protocol, campaigns that resume."""
