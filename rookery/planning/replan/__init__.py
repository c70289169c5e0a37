"""Plans changed around closures: what has happened stays, who is affected moves, and how good that is."""
