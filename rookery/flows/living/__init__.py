"""What follows every scan: where parcels are in an outlook, what became of their chances, and who is told."""
