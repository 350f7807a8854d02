"""`make bench`: what the service does on this machine, against yardsticks of the same run."""
