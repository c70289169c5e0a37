"""Acting on trouble: parcels booked on by what cases and chances suggest, told to those concerned, and put back."""
